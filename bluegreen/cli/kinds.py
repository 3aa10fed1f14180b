"""What an argument of a command may be."""

from __future__ import annotations

import argparse

from bluegreen.api.limits import LINES_LIMIT, LIST_LIMIT, NUMBER_LIMIT
from bluegreen.config.versions import LONGEST, check_version
from bluegreen.one_line import WHAT_IS_RIGHT, is_one_line


def add_app(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "app", metavar="APP", nargs="?", help="may be left out where there is one app"
    )


def one_line(text: str) -> str:
    if not is_one_line(text):
        raise argparse.ArgumentTypeError(WHAT_IS_RIGHT)
    return text


def version(text: str) -> str:
    """What is no version is said by the daemon, but for what is too long to be sent."""
    return check_version(text) if len(text) > LONGEST else text


def root(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("it is empty: name a directory, or leave it out")
    return text


def file(text: str) -> str:
    if not text or not text.isprintable():
        raise argparse.ArgumentTypeError("name a file, without control characters, or leave it out")
    return text


def listed(text: str) -> int:
    return _whole_number(text, 1, LIST_LIMIT, f"from 1 to {LIST_LIMIT}")


def lines(text: str) -> int:
    return _whole_number(text, 0, LINES_LIMIT, f"from 0 to {LINES_LIMIT}")


def at_least_one(text: str) -> int:
    return _whole_number(text, 1, NUMBER_LIMIT - 1, "from 1 up")


def _whole_number(text: str, least: int, most: int, right: str) -> int:
    digits = len(str(most))
    if not text.isdecimal() or len(text) > digits or not least <= int(text) <= most:
        shown = text if len(text) <= digits else f"{text[:digits]}..."
        raise argparse.ArgumentTypeError(f"{shown!r} is not a whole number {right}")
    return int(text)
