"""Where the files that ship with the package are: beside it in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "_shipped"


def _find(installed: str, checkout: str) -> Path:
    inside = _SHIPPED / installed
    return inside if inside.is_dir() else _PACKAGE.parent / checkout


def nginx_templates() -> Path:
    """The Jinja2 templates of what nginx reads."""
    return _find("nginx", "nginx")


def systemd_templates() -> Path:
    """The unit templates."""
    return _find("systemd", "systemd")


def sample_app() -> Path:
    """The app that the demo deploys."""
    return _find("demo/monitor", "tests/apps/monitor")
