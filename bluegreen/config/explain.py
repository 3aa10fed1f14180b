"""What pydantic found, in words for the person who wrote the file."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection, Mapping
from datetime import date, time
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bluegreen.config.places import Place, dotted
from bluegreen.config.problems import Finding
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.settings import AppSettings

# Below these keys a value may be a secret, or hold one: it is never repeated.
_NEVER_SHOWN = {
    "env",
    "git",
    "tarball",
    "checksums",
    "headers",
    "request_headers",
    "run",
    "command",
    "send",
    "body",
    "restore_command",
    "postgres",
    "secret",
    "url",
}

# What would be right, by pydantic's type of error; {…} is filled from the error's context.
_RIGHT = {
    "string_type": "Write text in quotes",
    "string_too_short": "Write something here",
    "int_type": "Write a whole number, without quotes",
    "float_type": "Write a number, without quotes",
    "finite_number": "Write a number that is finite",
    "bool_type": "Write true or false, without quotes",
    "tuple_type": "Write a list in brackets",
    "dict_type": "Write a table",
    "model_type": "Write a table",
    "literal_error": "Write {expected}",
    "enum": "Write {expected}",
    "greater_than": "Write something greater than {gt}",
    "greater_than_equal": "Write {ge} or more",
}


def findings(
    error: ValidationError, model: type[Section], data: Mapping[str, Any]
) -> list[Finding]:
    """Every error of validating ``data`` as ``model``, each at its place in ``data``."""
    errors = error.errors(include_url=False)
    # A list whose items are all wrong counts as too short besides: once is enough.
    told = [details for details in errors if details["type"] != "too_short" or not details["input"]]
    return [_finding(details, model, data) for details in told]


def nearest(name: str, known: Collection[str]) -> str:
    """The one of ``known`` that was perhaps meant, or all of them, as a sentence."""
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.6):
        return f'Perhaps "{close[0]}" is meant'
    return f"Known here: {', '.join(sorted(known))}" if known else "Remove it"


def _finding(details: ErrorDetails, model: type[Section], data: Mapping[str, Any]) -> Finding:
    place = _place(details, data)
    kind = details["type"]
    if kind == "extra_forbidden":
        return _unknown_key(place, _section_at(model, place[:-1]))
    if kind == "missing":
        table = f"[{place[0]}]" if len(place) == 1 else f"{place[-1]} = …"
        return Finding(place=place, wrong="it is missing", right=f"Add {table}")
    context = details.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, ValueRefusedError):
        return Finding(place=place, wrong=cause.wrong, right=cause.right)
    if kind == "too_short":
        right = (
            "Name at least one"
            if isinstance(details["input"], dict)
            else "Fill it, or leave it out"
        )
        return Finding(place=place, wrong="it is empty", right=right)
    right = f"Write {cause}" if kind == "value_error" else _right(kind, context, details["msg"])
    of_tables = _section_at(model, place) is not _section_at(model, place[:-1])
    if kind == "tuple_type" and of_tables and isinstance(details["input"], dict):
        right = f"Write [[{dotted(place)}]], in double brackets: there may be several"
    return Finding(
        place=place, wrong=f"{_shown(place, details['input'])} cannot be used here", right=right
    )


def _right(kind: str, context: Mapping[str, Any], message: str) -> str:
    return _RIGHT[kind].format(**context).replace("'", '"') if kind in _RIGHT else message


def _place(details: ErrorDetails, data: Mapping[str, Any]) -> Place:
    """pydantic's location without what is not in the file: names of union members, ``[key]``."""
    place: Place = ()
    current: Any = data
    for part in details["loc"]:
        inside = isinstance(current, dict) and part in current
        if inside or (isinstance(current, list) and isinstance(part, int)):
            current = current[part]
        elif details["type"] != "missing" or str(part).startswith("<"):
            continue
        place += (part,)
    return place


def _shown(place: Place, value: Any) -> str:
    if any(part in _NEVER_SHOWN for part in place):
        return "this value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, date | time):
        return str(value)
    return reprlib.repr(value).replace("'", '"') if value != "" else "an empty text"


def _unknown_key(place: Place, section: type[Section]) -> Finding:
    key = str(place[-1])
    if key in section.later:
        return Finding(
            place=place,
            wrong="not supported yet",
            right="Remove it: this version of bluegreen would not act on it",
        )
    known = {field.alias or name for name, field in section.model_fields.items()}
    if section is AppSettings:
        known.discard("env_file")  # which the file has inside [env]
    return Finding(
        place=place, wrong="there is no key of that name", right=nearest(key, sorted(known))
    )


def _section_at(model: type[Section], place: Place) -> type[Section]:
    """The section that the table at ``place`` is validated as."""
    section = model
    parts = iter(place)
    for part in parts:
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        if part in fields and (found := _section_of(fields[str(part)].annotation)):
            section, is_collection = found
            if is_collection:
                next(parts, None)  # the name or index of one of them
    return section


def _section_of(annotation: Any) -> tuple[type[Section], bool] | None:
    """The section inside a type such as ``tuple[Probe, ...] | None``, and if there are many."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, False
    for argument in get_args(annotation):
        if found := _section_of(argument):
            return found[0], found[1] or get_origin(annotation) in (dict, tuple)
    return None
