"""How systemd splits a line of a unit into words, and what its specifiers stand for
(systemd.syntax(7), systemd.unit(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ESCAPE = re.compile(
    r"\\(?:x(?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<one>[abfnrtvs\\\"']))"
)
_ONE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
}  # fmt: skip
# What a system's units all have in common.
_PLACES = {
    "t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc",
    "u": "root", "U": "0", "g": "root", "G": "0", "h": "/root", "s": "/bin/sh",
}  # fmt: skip

_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) *([A-Za-z]*)")
_UNITS = {
    "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 0.001, "msec": 0.001,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0,
    "hour": 3600.0, "hours": 3600.0, "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip


def split_words(text: str) -> list[str]:
    """The words of a line. Raises ValueError for open quotes and unknown escapes."""
    words: list[str] = []
    word, quote, position = None, "", 0
    while position < len(text):
        character = text[position]
        step = 1
        if character == "\\":
            match = _ESCAPE.match(text, position)
            if match is None:
                raise ValueError(f"an escape that systemd does not know: {text[position:][:4]}")
            word = (word or "") + _unescaped(match)
            step = len(match[0])
        elif quote:
            quote, word = ("", word or "") if character == quote else (quote, f"{word}{character}")
        elif character in "\"'":
            quote, word = character, word or ""
        elif character.isspace():
            words += [word] if word is not None else []
            word = None
        else:
            word = (word or "") + character
        position += step
    if quote:
        raise ValueError(f"an open quote: {quote}")
    return [*words, word] if word is not None else words


def specifiers(unit: str) -> Mapping[str, str]:
    """What ``%n`` and the like stand for in ``unit`` (``shop@9001.service``), as far as is plain.

    Of another machine, and of a boot, nothing is known here (``%H``, ``%m``, ``%b``, …).
    """
    full = unit if unit.endswith(".service") else f"{unit}.service"
    name = full.removesuffix(".service")
    prefix, _, instance = name.partition("@")
    last = prefix.rpartition("-")[2]
    return _PLACES | {
        "%": "%", "n": full, "N": name, "p": prefix, "P": _unescape_name(prefix),
        "i": instance, "I": _unescape_name(instance), "j": last, "J": _unescape_name(last),
        "f": f"/{_unescape_name(instance or prefix).lstrip('/')}",
    }  # fmt: skip


def expanded(text: str, known: Mapping[str, str]) -> tuple[str, bool]:
    """``text`` with its specifiers replaced; whether all of them were ``known``."""
    unknown = False

    def value(match: re.Match[str]) -> str:
        nonlocal unknown
        if match[1] not in known:
            unknown = True
            return match[0]
        return known[match[1]]

    return re.sub(r"%([A-Za-z%])", value, text), not unknown


def seconds(value: str) -> float | None:
    """A time span as ``90``, ``5min 20s``; None for ``infinity`` and what is none."""
    spans = [span.groups() for span in _SPAN.finditer(value)]
    if not spans or _SPAN.sub("", value).strip() or any(unit not in _UNITS for _, unit in spans):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in spans)


def _unescaped(match: re.Match[str]) -> str:
    if match["one"] is not None:
        return _ONE.get(match["one"], match["one"])
    if match["octal"] is not None:
        code = int(match["octal"], 8)
    else:
        code = int(match["hex"] or match["short"] or match["long"], 16)
    if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError("an escape that stands for no character")
    return chr(code)


def _unescape_name(name: str) -> str:
    """As ``systemd-escape --unescape`` does it."""
    plain = name.replace("-", "/")
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), plain)
