"""The page of a report: one file of HTML, which loads nothing and runs nothing."""

from __future__ import annotations

import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bluegreen import __version__
from bluegreen.log_tail import printable
from bluegreen.report.charts import charts
from bluegreen.report.phases import share_text
from bluegreen.report.story import Story
from bluegreen.words import clock, seconds

_HERE = Path(__file__).parent


def page(story: Story, *, made_at: float) -> str:
    """The HTML document; ``made_at`` is in Unix seconds. Times are those of this host's zone."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), undefined=StrictUndefined, autoescape=True,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "duration": seconds, "clock": clock, "moment": _moment, "share": share_text,
        "printable": printable,
    }  # fmt: skip
    drawn = charts(story.seen, story.moments)
    return environment.get_template("page.html.j2").render(
        story=story,
        charts=None if drawn is None else Markup(drawn),  # noqa: S704 - made of numbers and escaped
        style=Markup((_HERE / "page.css").read_text()),  # noqa: S704 - our own
        made_at=made_at,
        version=__version__,
    )


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))
