"""What an argument of a command may be."""

from __future__ import annotations

import argparse

from bluegreen.api.limits import LIST_LIMIT
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


def listed(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LIST_LIMIT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {LIST_LIMIT}")
    return int(text)


def at_least_one(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)
