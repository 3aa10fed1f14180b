"""The manual page, bluegreen(1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bluegreen.cli.reference.grammar import Command, Option, synopsis

FILES = (
    ("/etc/bluegreen/apps/APP.toml", "an app: its source, services, routes and gate"),
    ("/etc/bluegreen/bluegreen.toml", "the daemon's own settings; may be missing"),
    ("/run/bluegreen/control.sock", "where the daemon is asked"),
    ("/var/lib/bluegreen", "the history, the releases and the data of the apps"),
)
ENVIRONMENT = (
    ("BLUEGREEN_ROOT", "another root than /, as --root names it"),
    ("BLUEGREEN_TRACE", "set to 1: a defect of bluegreen itself is shown with its trace"),
)


def manual(program: Command, *, version: str, epilog: str) -> str:
    """The page in man(7) macros. ``epilog`` says the exit statuses, ``N meaning; N meaning``."""
    return "\n".join(_lines(program, version, epilog)) + "\n"


def _lines(program: Command, version: str, epilog: str) -> Iterator[str]:
    common = [o for o in program.options if all(o in c.options for c in program.commands)]
    yield f'.TH BLUEGREEN 1 "" "bluegreen {_escaped(version)}" "User Commands"'
    yield from (".SH NAME", f"bluegreen \\- {_escaped(_uncapped(program.help))}")
    yield from (".SH SYNOPSIS", ".B bluegreen", r"[\fIoptions\fR] \fICOMMAND\fR [\fI...\fR]")
    yield from (
        ".SH DESCRIPTION",
        _escaped(
            "Brings new versions of web apps onto this host without losing a request, and takes "
            "them back in milliseconds. Each app has two slots, blue and green: one serves, the "
            "other takes the next release, which gets the traffic once it has passed its gate. "
            "A daemon, bluegreen.service, does the work; these commands ask it to."
        ),
    )
    yield ".SH OPTIONS"
    yield from _options(program.options)
    yield ".SH COMMANDS"
    for command in program.all():
        if command.words and not command.commands:
            yield f".SS {_escaped(synopsis(command, common))}"
            yield _escaped(_sentence(command.help))
            yield from _options(o for o in command.options if o not in common)
    yield ".SH EXIT STATUS"
    for part in epilog.partition(":")[2].replace("\n", " ").split(";"):
        number, _, meaning = part.strip().partition(" ")
        yield from _item(number, meaning)
    yield ".SH ENVIRONMENT"
    for name, text in ENVIRONMENT:
        yield from _item(name, text)
    yield ".SH FILES"
    for name, text in FILES:
        yield from _item(name, text)
    yield from (".SH SEE ALSO", ".BR systemctl (1),", ".BR journalctl (1),", ".BR nginx (8)")


def _options(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        value = "|".join(option.choices) or option.value
        flags = ", ".join(option.flags) + (f" {value}" if option.value else "")
        yield from _item(flags, option.help)


def _item(name: str, text: str) -> Iterator[str]:
    yield from (".TP", f"\\fB{_escaped(name)}\\fR", _escaped(_sentence(text)) or "\\&")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _uncapped(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def _escaped(text: str) -> str:
    """What roff takes literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{text}" if text.startswith((".", "'")) else text
