"""The commands, options and arguments that the parser takes, as plain records."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Option:
    """``value`` is the name of what it takes; None for a flag."""

    flags: tuple[str, ...]
    value: str | None
    choices: tuple[str, ...]
    help: str


@dataclass(frozen=True, kw_only=True)
class Argument:
    """What stands in a place of its own; ``name`` is empty where only ``choices`` are taken."""

    name: str
    choices: tuple[str, ...]
    optional: bool
    many: bool
    help: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """``words`` are what is typed after ``bluegreen``; none for the program itself."""

    words: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: tuple[Command, ...]

    @property
    def name(self) -> str:
        return " ".join(self.words)

    def all(self) -> Iterator[Command]:
        """This one and those below it, outermost first."""
        yield self
        for command in self.commands:
            yield from command.all()


def grammar(parser: argparse.ArgumentParser) -> Command:
    """The whole program."""
    return _command(parser, (), parser.description or "")


def _command(parser: argparse.ArgumentParser, words: tuple[str, ...], text: str) -> Command:
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    plain = [a for a in parser._actions if not isinstance(a, argparse._SubParsersAction)]
    return Command(
        words=words,
        help=text,
        options=tuple(_option(action) for action in plain if action.option_strings),
        arguments=tuple(_argument(action) for action in plain if not action.option_strings),
        commands=tuple(
            _command(action.choices[choice.dest], (*words, choice.dest), choice.help or "")
            for action in inner
            for choice in action._choices_actions
        ),
    )


def _option(action: argparse.Action) -> Option:
    return Option(
        # The long one first.
        flags=tuple(sorted(action.option_strings, key=len, reverse=True)),
        value=None if action.nargs == 0 else _name(action),
        choices=_choices(action),
        help=action.help or "",
    )


def _argument(action: argparse.Action) -> Argument:
    return Argument(
        name="" if action.choices else _name(action),
        choices=_choices(action),
        optional=action.nargs in ("?", "*"),
        many=action.nargs in ("*", "+"),
        help=action.help or "",
    )


def _name(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def _choices(action: argparse.Action) -> tuple[str, ...]:
    return tuple(str(choice) for choice in action.choices or ())


def synopsis(command: Command, common: Sequence[Option] = ()) -> str:
    """How it is typed, without the options in ``common``."""
    said = ["bluegreen", *command.words]
    for option in command.options:
        if option not in common:
            value = "|".join(option.choices) or option.value
            said.append(f"[{option.flags[0]}{f' {value}' if option.value else ''}]")
    for argument in command.arguments:
        name = (argument.name or "|".join(argument.choices)) + ("…" if argument.many else "")
        said.append(f"[{name}]" if argument.optional else name)
    if command.commands:
        said.append("COMMAND")
    return " ".join(said)
