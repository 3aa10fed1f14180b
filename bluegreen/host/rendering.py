"""The templates of ``systemd/``: every value in them is checked."""

from __future__ import annotations

import functools

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bluegreen.host.quoting import UnitText, checked
from bluegreen.resources import systemd_templates
from bluegreen.traffic.rendering import WRITTEN_BY


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(systemd_templates()),
        undefined=StrictUndefined,
        autoescape=select_autoescape(default=False, enabled_extensions=()),
        finalize=checked,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.globals["written_by"] = UnitText(WRITTEN_BY)
    return environment


def render(template: str, **values: object) -> str:
    """Raises ConfigError for a value that could be read as more than one."""
    return _environment().get_template(template).render(**values)
