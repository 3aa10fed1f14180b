"""``[migrations]``: how the app's own migrations are looked at, run, and undone."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import Pattern, PositiveDuration, Script, Switch


def _named(script: str) -> str:
    if "{name}" not in script.replace("{{", "").replace("}}", ""):
        raise ValueRefusedError(
            "it does not say which migration it is about",
            'Write {name} where the name belongs, such as "python3 -m migrations.rollback {name}"',
        )
    return script


NamedScript = Annotated[Script, AfterValidator(_named)]


class Migrations(Section):
    """``[migrations]``. Commands are run by ``/bin/sh -c``, as build steps are."""

    mode: Literal["online", "hold", "none"] = "online"
    check: Script | None = None
    run: Script | None = None  # None: the app migrates as it starts
    rollback: NamedScript | None = None
    mark_applied: NamedScript | None = None
    fail_on: Pattern | None = None
    rehearse: Switch = True
    timeout: PositiveDuration = 600.0  # of each command

    @property
    def failure(self) -> re.Pattern[str] | None:
        """What in a line of a command's output means that it failed."""
        return None if self.fail_on is None else re.compile(self.fail_on)

    @property
    def runs(self) -> bool:
        """Whether a release has its migrations run before it starts."""
        return self.mode != "none" and self.run is not None
