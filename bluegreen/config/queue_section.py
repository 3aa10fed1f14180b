"""``[queue]``: how automatic releases wait."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bluegreen.config.section import Section


class QueueSection(Section):
    """``[queue]``: what becomes of a release that a trigger asks for while another one runs."""

    policy: Literal["latest", "serial", "refuse"] = "latest"
    limit: Annotated[int, Field(ge=1, le=1000, strict=True)] = 20  # that wait, with "serial"
