"""What every table of a file is."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of a file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    # Keys that a later version will know: refused as "not supported yet".
    later: ClassVar[frozenset[str]] = frozenset()
