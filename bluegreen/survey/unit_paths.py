"""Paths in the texts of a unit: those of the directory become those of a slot."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from bluegreen.survey.directory import AppDirectory

# Where a program may be, and what it reads, without its being the app's data.
_COMMON = ("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/etc/", "/dev/", "/proc/", "/sys/")
_ABSOLUTE = re.compile(r"(?:^|(?<=[=:,\s\"']))/(?:/+)?(?=[A-Za-z])[^\s:,;\"']*")


def relative(word: str, directory: AppDirectory, working: str) -> str:
    """Paths into the directory as seen from ``working``, wherever in the word they begin."""
    up = os.path.relpath(".", working or ".")
    for top in directory.names:
        inner = f"{top}/{working}" if working else top
        word = re.sub(rf"(?<![\w./-]){re.escape(inner)}(?:/(?=.)|/?(?![\w.-]))", "\0", word)
        word = re.sub(rf"(?<![\w./-]){re.escape(top)}(?:/(?=.)|/?(?![\w.-]))", f"{up}/", word)
    # What is left of a path to the working directory itself is nothing: then it is a dot.
    return re.sub(r"\0(?=$|[\s:,;\"'])", ".", word).replace("\0", "")


def moved(value: str, directory: AppDirectory, shared: Sequence[str]) -> str:
    """A value with the directory's paths as those of a slot, or of the shared directory."""

    def place(match: re.Match[str]) -> str:
        inside = (match[1] or "").strip("/")
        kept = any(inside == path or inside.startswith(f"{path}/") for path in shared)
        top = "{shared_dir}" if kept else "{slot_dir}"
        return f"{top}/{inside}" if inside else top

    for name in directory.names:
        top = re.escape(braced(name))
        value = re.sub(rf"(?<![\w.-]){top}(/[^\s:;,\"']*)?(?![\w.-])", place, value)
    return value


def outside(texts: Sequence[str], directory: AppDirectory) -> list[str]:
    """Paths that ``texts`` name and that are neither the app's nor the system's."""
    named = (os.path.normpath(match[0]) for text in texts for match in _ABSOLUTE.finditer(text))
    paths = (re.sub("^//", "/", path) for path in named)
    return list(
        dict.fromkeys(
            path
            for path in paths
            if directory.inside(path) is None and not path.startswith((*_COMMON, "/run/"))
        )
    )


def braced(value: str) -> str:
    """``value`` with its braces as the app file needs them."""
    return value.replace("{", "{{").replace("}", "}}")
