"""The templates of ``systemd/``: every value in them is checked."""

from __future__ import annotations

import functools

from jinja2 import Environment

from bluegreen.host.quoting import UnitText, checked
from bluegreen.resources import systemd_templates
from bluegreen.templates import WRITTEN_BY, environment


@functools.cache
def _environment() -> Environment:
    made = environment(systemd_templates(), checked)
    made.globals["written_by"] = UnitText(WRITTEN_BY)
    return made


def render(template: str, **values: object) -> str:
    """Raises ConfigError for a value that could be read as more than one."""
    return _environment().get_template(template).render(**values)
