"""``[migrations]``: how the app's own migrations are looked at, run, and undone."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import Pattern, PositiveDuration, Script


def _named(script: str, info: ValidationInfo) -> str:
    if "{name}" not in script.replace("{{", "").replace("}}", ""):
        raise ValueRefusedError(
            "it does not say which migration it is about",
            "Write {name} where the name belongs, such as "
            f'"python3 -m migrations.{info.field_name} {{name}}"',
        )
    return script


def _rehearsal(value: Any) -> Any:
    if not isinstance(value, bool) and value != "migrations":
        raise ValueError(
            'true, false, or "migrations", with which the old version is not started on the copy'
        )
    return value


Rehearsal = Annotated[bool | Literal["migrations"], BeforeValidator(_rehearsal)]
NamedScript = Annotated[Script, AfterValidator(_named)]


class Migrations(Section):
    """``[migrations]``. Commands are run by ``/bin/sh -c``, as build steps are."""

    mode: Literal["online", "hold", "none"] = "online"
    check: Script | None = None
    run: Script | None = None  # None: the app migrates as it starts
    rollback: NamedScript | None = None
    mark_applied: NamedScript | None = None
    fail_on: Pattern | None = None
    rehearse: Rehearsal = True
    timeout: PositiveDuration = 600.0  # of each command

    @property
    def failure(self) -> re.Pattern[str] | None:
        """What in a line of a command's output means that it failed."""
        return None if self.fail_on is None else re.compile(self.fail_on)

    @property
    def runs(self) -> bool:
        """Whether a release has its migrations run before it starts."""
        return self.mode != "none" and self.run is not None

    @property
    def rehearses(self) -> bool:
        """Whether they are done on a copy of the data first."""
        return self.mode != "none" and self.rehearse is not False

    @property
    def tries_old_version(self) -> bool:
        """Whether the version that serves on has to live with the migrated copy."""
        return self.mode == "online" and self.rehearse is True
