"""Placeholders such as ``{port}`` in commands, environments and probes.

``{{`` and ``}}`` are literal braces. Every other brace must belong to a known placeholder, so that
a misspelt one is found when the file is loaded and never reaches a shell as it stands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from bluegreen.config.settings import AppSettings
from bluegreen.errors import UsageError
from bluegreen.layout import AppLayout
from bluegreen.model import Address, Slot

# Known for every service and build step; port, socket, ports.X and sockets.X depend on the app.
COPY = "copy"
EVERYWHERE = frozenset({"slot", "version", "slot_dir", "shared_dir", "cache_dir", COPY})

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
# What may be repeated in a message: other text between braces could be part of a secret.
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,60}")


def unknown_placeholders(text: str, known: Collection[str]) -> list[str]:
    """What ``expand`` would refuse in ``text``, each as it can be shown: ``{prot}``, ``{``."""
    unknown: dict[str, None] = {}
    for match in _TOKEN.finditer(text):
        if match[0] in ("{{", "}}") or match[1] in known:
            continue
        named = match[1] is not None and _NAME.fullmatch(match[1])
        unknown[match[0] if named else match[0][0]] = None
    return list(unknown)


def mentions(text: str, name: str) -> bool:
    """Whether ``expand`` would put the value of ``name`` into ``text``."""
    return any(match[1] == name for match in _TOKEN.finditer(text))


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace each placeholder by its value, once: values are never expanded again.

    Raises UsageError on an unknown placeholder or a lone brace.
    """
    if unknown := unknown_placeholders(text, values.keys()):
        raise UsageError(
            f"unknown placeholder {unknown[0]}",
            remedy=f"Use one of {listing(values)}; write {{{{ and }}}} for literal braces.",
        )

    def value(match: re.Match[str]) -> str:
        return values[match[1]] if match[1] is not None else match[0][0]

    return _TOKEN.sub(value, text)


def expand_argv(command: str, values: Mapping[str, str]) -> list[str]:
    """The words of ``command``, each expanded after the split: a value never becomes two words."""
    return [expand(word, values) for word in shlex.split(command)]


def expand_script(script: str, values: Mapping[str, str]) -> str:
    """The same in a script of a shell: each value is one word, but for what ends a name.

    That is of letters and digits, or nothing at all, which as a word of its own would be two quotes
    in the middle of a name.
    """
    words = {name: value if name == COPY else shlex.quote(value) for name, value in values.items()}
    return expand(script, words)


def listing(names: Collection[str]) -> str:
    """``{port}, {slot}``: placeholders as a sentence shows them."""
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def slot_values(
    settings: AppSettings,
    layout: AppLayout,
    slot: Slot,
    *,
    version: str,
    tree: Path,
    service: str | None,
    instance: int = 1,
) -> dict[str, str]:
    """The values for an instance of ``service`` of a slot, or for a build (``service`` None).

    ``{slot_dir}`` is the tree itself, not the link in ``slots``: builds bake the path in, and a
    tree never moves. ``{port}`` and ``{socket}`` exist for services that have one, and are the
    instance's own; those of other services are those of their first instances. ``{copy}`` is empty
    but on a copy of the data.
    """
    values = {
        "slot": slot.value,
        "version": version,
        "slot_dir": str(tree),
        "shared_dir": str(layout.shared),
        "cache_dir": str(build_cache(layout)),
        COPY: layout.copy_suffix,
    }
    for name, other in settings.services.items():
        if (address := other.address(slot, layout.run)) is not None:
            kind, value = _kind_and_value(address)
            values[f"{kind}s.{name}"] = value
    if service is not None:
        values["instance"] = str(instance)
        own = settings.services[service].address(slot, layout.run, instance)
        values |= own_address(own)
    return values


def own_address(address: Address | None) -> dict[str, str]:
    """``{port}`` or ``{socket}`` of whoever listens at ``address``."""
    return {} if address is None else dict([_kind_and_value(address)])


def _kind_and_value(address: Address) -> tuple[str, str]:
    if address.port is not None:
        return "port", str(address.port)
    return "socket", str(address.socket)


def build_cache(layout: AppLayout) -> Path:
    """The directory that builds keep from release to release."""
    return layout.cache / "build"
