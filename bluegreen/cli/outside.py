"""The commands about what comes from outside, and who is told outside."""

from __future__ import annotations

import argparse
from typing import Any, TypeAlias

from bluegreen.cli import kinds

Commands: TypeAlias = "argparse._SubParsersAction[Any]"


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    """``common`` has the options of every command."""
    _webhooks(commands, common)
    _tokens(commands, common)
    _notify(commands, common)


def _tokens(commands: Commands, common: argparse.ArgumentParser) -> None:
    token = commands.add_parser(
        "token", help="what the API is asked with over TCP", parents=[common]
    )
    ways = token.add_subparsers(metavar="create|list|revoke", required=True)
    create = ways.add_parser(
        "create", help="make one, and print it: it is not shown again", parents=[common]
    )
    create.add_argument(
        "--scope", dest="scopes", action="append", required=True,
        choices=["read", "deploy", "switch", "admin"],
        help="what it may do; may be repeated",
    )  # fmt: skip
    create.add_argument(
        "--app", metavar="APP", dest="apps", action="append", default=[],
        help="the app that it is for; may be repeated; default: all",
    )  # fmt: skip
    create.add_argument(
        "--expires", metavar="TIME", help="for how long, as in 12h or 30d; default: for ever"
    )
    create.add_argument(
        "--name", metavar="TEXT", type=kinds.one_line, help="what it is for, in the history"
    )
    ways.add_parser("list", help="those that there are, and were", parents=[common])
    revoke = ways.add_parser("revoke", help="end one for good", parents=[common])
    revoke.add_argument("id", metavar="ID", type=kinds.at_least_one, help="its number in the list")
    for name, run in (("create", "create"), ("list", "listing"), ("revoke", "revoke")):
        ways.choices[name].set_defaults(run=("token", run))


def _notify(commands: Commands, common: argparse.ArgumentParser) -> None:
    notify = commands.add_parser("notify", help="who is told what happens", parents=[common])
    ways = notify.add_subparsers(metavar="list|test", required=True)
    listing = ways.add_parser(
        "list", help="the receivers, how far they are told, and what fails",
        parents=[common],
    )  # fmt: skip
    listing.set_defaults(run=("notify", "listing"))
    test = ways.add_parser("test", help="send a test, and say what was answered", parents=[common])
    test.set_defaults(run=("notify", "try_out"))
    test.add_argument(
        "receiver", metavar="RECEIVER", nargs="?", type=kinds.one_line,
        help="as the list has it; default: all",
    )  # fmt: skip


def _webhooks(commands: Commands, common: argparse.ArgumentParser) -> None:
    webhook = commands.add_parser(
        "webhook", help="what asks for releases from outside", parents=[common]
    )
    ways = webhook.add_subparsers(metavar="list|test|replay", required=True)
    listing = ways.add_parser(
        "list", help="the app's webhooks, and what was delivered", parents=[common]
    )
    listing.set_defaults(run=("webhook", "listing"))
    kinds.add_app(listing)
    listing.add_argument(
        "--limit", metavar="N", type=kinds.listed, default=10, help="how many deliveries"
    )
    test = ways.add_parser(
        "test", help="what would be made of a delivery; nothing is done", parents=[common]
    )
    test.set_defaults(run=("webhook", "try_out"))
    kinds.add_app(test)
    test.add_argument(
        "--event",
        metavar="EVENT",
        type=kinds.one_line,
        help="default: the first of each webhook",
    )
    test.add_argument(
        "--version",
        metavar="VERSION",
        type=kinds.one_line,
        help="default: one that it would take",
    )
    replay = ways.add_parser("replay", help="do again what a delivery asks for", parents=[common])
    replay.set_defaults(run=("webhook", "replay"))
    kinds.add_app(replay)
    replay.add_argument(
        "delivery", metavar="DELIVERY", nargs="?", help="its number, or its sender's name"
    )
