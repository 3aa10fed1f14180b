"""``[queue]``: how automatic releases wait."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bluegreen.config.section import Section
from bluegreen.config.values import within


class QueueSection(Section):
    """``[queue]``: what becomes of a release that a trigger asks for while another one runs."""

    policy: Literal["latest", "serial", "refuse"] = "latest"
    limit: Annotated[int, Field(strict=True), within(1, 1000)] = 20  # that wait, with "serial"
