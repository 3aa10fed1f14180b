"""What can be typed, and which function answers it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bluegreen import __version__
from bluegreen.cli import kinds, outside
from bluegreen.errors import UsageError

_EPILOG = """\
exit status: 0 done; 1 it failed and the version that was active still serves; 2 wrong use or
configuration; 3 no daemon; 4 busy or locked; 5 it had been switched and was switched back;
130 interrupted
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command as typed. Raises UsageError where it makes no sense."""
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        raise _wrong_use(options.prog, f"unrecognized arguments: {' '.join(unknown)}")
    options.json = getattr(options, "json", False)
    options.root = Path(getattr(options, "root", None) or _usual_root()).absolute()
    return options


def _usual_root() -> str:
    root = os.environ.get("BLUEGREEN_ROOT", "/")
    if not root:
        # Of a script whose own variable is unset: it does not mean the whole host by that.
        raise UsageError(
            "the variable BLUEGREEN_ROOT is empty",
            remedy="set it to a directory; for the whole host: unset BLUEGREEN_ROOT",
        )
    return root


def _wrong_use(command: str, message: str) -> UsageError:
    return UsageError(message, remedy=f"see what it takes: {command} --help")


def parser() -> argparse.ArgumentParser:
    """All that can be typed."""
    return _Commands().parser


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors say what to do next.

    ``prog`` of what it has parsed is the command with its subcommand, as it was understood.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # As --y of a script would be --yes until there is another option that begins so.
        options |= {"allow_abbrev": False}
        super().__init__(*arguments, **options)
        self.set_defaults(prog=self.prog)

    def error(self, message: str) -> NoReturn:
        # argparse's words for `--manual=yes` tell of what it did, not of what is wrong.
        told = message.replace("ignored explicit argument", "it takes no value, and was given")
        raise _wrong_use(self.prog, told)


class _Commands:
    """The parser and its commands."""

    def __init__(self) -> None:
        # The options of every command; SUPPRESS lets them stand before or after its name.
        self._common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
        self._common.add_argument(
            "--root",
            metavar="DIR",
            type=kinds.root,
            help="another root than / (or set BLUEGREEN_ROOT)",
        )
        self._common.add_argument("--json", action="store_true", help="print JSON")
        self.parser = _Parser(
            prog="bluegreen",
            description="Blue-green deployments for ordinary Linux hosts.",
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[self._common],
        )
        self.parser.add_argument("--version", action="version", version=f"bluegreen {__version__}")
        self._commands = self.parser.add_subparsers(metavar="COMMAND", required=True)
        self._host()
        self._plan()
        self._releases()
        self._by_hand()
        self._switches()
        self._data()
        self._looks()
        outside.add_commands(self._commands, self._common)

    def _add(
        self, name: str, run: tuple[str, str], text: str, *, app: bool = True
    ) -> argparse.ArgumentParser:
        command = self._commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", parents=[self._common]
        )
        command.set_defaults(run=run)
        if app:
            kinds.add_app(command)
        return command

    def _host(self) -> None:
        serve = self._add(
            "serve", ("serve", "serve"), "run the daemon in the foreground", app=False
        )
        serve.add_argument(
            "--supervisor", choices=["embedded", "systemd"],
            help="who runs the services (default: systemd for the whole host, embedded for a "
            "--root)",
        )  # fmt: skip
        serve.add_argument(
            "--stop-apps", action="store_true",
            help="stop the apps and nginx when the daemon ends (they stay up otherwise)",
        )  # fmt: skip
        check = self._add("check", ("check", "check"), "validate configuration", app=False)
        check.add_argument("files", metavar="FILE", nargs="*", type=Path)
        init = self._add(
            "init", ("init", "init"), "write an app file for the current directory", app=False
        )
        init.add_argument("app", metavar="APP", nargs="?", help="default: the directory's name")
        init.add_argument(
            "--output", metavar="FILE", type=kinds.file, help="where to write it; - prints it"
        )
        init.add_argument(
            "--unit", metavar="NAME", dest="units", action="append", default=[],
            help="a systemd unit that runs it, besides those of the directory; may be repeated",
        )  # fmt: skip
        self._add(
            "doctor",
            ("doctor", "doctor"),
            "examine the host for what is in the way",
            app=False,
        )
        self._add("reload", ("reload", "reload"), "take up changed app files", app=False)
        apply = self._add(
            "apply", ("apply", "apply"),
            "(root) write the units, nginx sites and directories that the app files ask for",
            app=False,
        )  # fmt: skip
        apply.add_argument("--dry-run", action="store_true", help="only show what would change")
        demo = self._add("demo", ("demo", "demo"), "show all of it on this machine", app=False)
        demo.add_argument("--keep", action="store_true", help="leave it running at the end")

    def _plan(self) -> None:
        plan = self._add("plan", ("plan", "plan"), "what a deploy would do, and what is in its way")
        plan.add_argument("version", metavar="VERSION", help="a tag, a branch or a commit")
        plan.add_argument(
            "--build", action="store_true",
            help="build it, to ask it for pending migrations, and throw the build away",
        )  # fmt: skip

    def _releases(self) -> None:
        deploy = self._add(
            "deploy", ("release", "deploy"), "upgrade the idle slot, gate it, switch, watch"
        )
        deploy.add_argument(
            "version", metavar="VERSION", type=kinds.version, help="a tag, a branch or a commit"
        )
        deploy.add_argument(
            "--ack", metavar="BREAKING", type=kinds.one_line, action="append", default=[],
            help="what this upgrade breaks, as it says when it refuses; may be repeated",
        )  # fmt: skip
        deploy.add_argument(
            "--manual", action="store_true",
            help="once it has passed its gate it waits for bluegreen promote",
        )  # fmt: skip
        deploy.add_argument(
            "--force", action="store_true",
            help="past the versions that the app file lets in, starts from and goes by; recorded",
        )  # fmt: skip
        rollback = self._add(
            "rollback", ("release", "rollback"), "an older release through the same gates"
        )
        rollback.add_argument(
            "--to", metavar="VERSION", dest="version", type=kinds.version,
            help="default: the release before",
        )  # fmt: skip
        rollback.add_argument(
            "--restore", metavar="BACKUP", type=kinds.at_least_one,
            help="with the data of that backup, and by default its release",
        )  # fmt: skip
        rollback.add_argument("--yes", action="store_true", help="ask nothing")
        restart = self._add(
            "restart", ("release", "restart"),
            "the same version into the other slot and over, with no request lost",
        )  # fmt: skip
        promote = self._add(
            "promote", ("release", "promote"), "let the release go on that waits for a person"
        )
        promote.add_argument(
            "operation", metavar="OPERATION", nargs="?", type=kinds.at_least_one,
            help="only if it is that one; default: whichever waits",
        )  # fmt: skip
        stop = self._add("stop", ("release", "stop"), "take an app out of service")
        start = self._add("start", ("release", "start"), "bring a stopped app back, gated")
        for command in (deploy, rollback, restart, promote, stop, start):
            command.add_argument("--detach", action="store_true", help="return once it has begun")
        cancel = self._add(
            "cancel", ("release", "cancel"), "end the running operation; the active slot serves on"
        )
        cancel.add_argument(
            "operation", metavar="OPERATION", nargs="?", type=kinds.at_least_one,
            help="that one, which may be one that waits; default: the running one",
        )  # fmt: skip
        self._add(
            "resume", ("queue", "resume"), "let releases of triggers begin again after a switch"
        )

    def _by_hand(self) -> None:
        """What an operator does to an app beside its releases."""
        hold = self._add("hold", ("holds", "hold"), "have new requests wait at nginx")
        hold.add_argument(
            "--timeout", metavar="TIME", default="30s",
            help="for how long at the most, as in 30s or 5m; default: 30s",
        )  # fmt: skip
        self._add("release", ("holds", "release"), "let the requests through that wait")
        preview = self._add(
            "preview", ("preview", "preview"), "how to reach the idle slot through the site"
        )
        preview.add_argument(
            "--for", metavar="TIME", dest="time", default="1h",
            help="for how long, as in 30m or 2d; default: 1h",
        )  # fmt: skip
        preview.add_argument("--revoke", action="store_true", help="end all previews of the app")
        lock = self._add("lock", ("locks", "lock"), "refuse deploys (never a switch back)")
        lock.add_argument("--reason", metavar="TEXT", type=kinds.one_line, required=True)
        self._add("unlock", ("locks", "unlock"), "allow deploys again")

    def _switches(self) -> None:
        switch = self._commands.add_parser(
            "switch", help="instant: traffic to the other slot", parents=[self._common]
        )
        ways = switch.add_subparsers(metavar="back|to", required=True)
        back = ways.add_parser("back", help="to the other slot", parents=[self._common])
        back.set_defaults(run=("switch", "switch"), slot="back")
        kinds.add_app(back)
        to = ways.add_parser("to", help="to the slot that is named", parents=[self._common])
        to.set_defaults(run=("switch", "switch"))
        to.add_argument("slot", choices=["blue", "green"])
        kinds.add_app(to)
        for way in (back, to):
            way.add_argument(
                "--emergency", action="store_true",
                help="without a daemon, where that cannot be started: move the marker itself",
            )  # fmt: skip

    def _data(self) -> None:
        backup = self._commands.add_parser(
            "backup", help="verified backups of an app's data", parents=[self._common]
        )
        ways = backup.add_subparsers(metavar="create|list|verify|restore", required=True)
        texts = {
            "create": "back the data up, while the app serves",
            "list": "the backups that there are, the newest first",
            "verify": "read backups and compare them with their manifests",
            "restore": "put a backup's data in the place of those of a stopped app",
        }
        for name, text in texts.items():
            way = ways.add_parser(name, help=text, parents=[self._common])
            way.set_defaults(run=("backup", "listing" if name == "list" else name))
            kinds.add_app(way)
            if name in ("verify", "restore"):
                default = "all" if name == "verify" else "the newest good one"
                way.add_argument("id", metavar="ID", nargs="?", help=f"default: {default}")
            if name in ("create", "restore"):
                way.add_argument("--detach", action="store_true", help="return once it has begun")
            if name == "restore":
                way.add_argument("--yes", action="store_true", help="ask nothing")

        self._migrations()

    def _migrations(self) -> None:
        migrations = self._commands.add_parser(
            "migrations", help="the app's own migrations", parents=[self._common]
        )
        ways = migrations.add_subparsers(metavar="check|run|rollback|mark-applied", required=True)
        texts = {
            "check": "ask the release that serves which are pending",
            "run": "back the data up and run those that are pending",
            "rollback": "back the data up and undo one, in the release that applied it",
            "mark-applied": "back the data up and let the app count one as applied",
        }
        for name, text in texts.items():
            way = ways.add_parser(name, help=text, parents=[self._common])
            way.set_defaults(run=("migrations", name.replace("-", "_")))
            kinds.add_app(way)
            if name == "mark-applied":
                way.add_argument("name", metavar="NAME", help="as check prints it")
            if name == "rollback":
                way.add_argument("name", metavar="NAME", nargs="?", help="default: the newest")
            way.add_argument("--detach", action="store_true", help="return once it has begun")

    def _looks(self) -> None:
        status = self._add("status", ("status", "status"), "slots, health, the way back")
        status.add_argument("--watch", action="store_true", help="look again every second")
        history = self._add("history", ("history", "history"), "past operations")
        history.add_argument("--limit", metavar="N", type=kinds.listed, default=20)
        logs = self._add("logs", ("logs", "logs"), "output of an operation or of services")
        logs.add_argument("operation", metavar="OPERATION", nargs="?", type=kinds.at_least_one)
        logs.add_argument("--phase", metavar="P", help="only this phase's output")
        logs.add_argument("--service", metavar="S", help="only this service, in both slots")
        logs.add_argument("--lines", metavar="N", type=kinds.lines, default=100)
        logs.add_argument("--follow", action="store_true", help="go on as more arrives")
        report = self._add(
            "report", ("report", "report"), "a release on one page, to send to people"
        )
        report.add_argument("operation", metavar="OPERATION", nargs="?", type=kinds.at_least_one)
        report.add_argument(
            "--output",
            metavar="FILE",
            type=kinds.file,
            help="where to write it; - prints it; default: APP-OPERATION.html",
        )
