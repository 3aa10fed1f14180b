"""The ``bluegreen`` command. What a command does not need, it does not import."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from bluegreen.cli.encoding import say_what_can_be_said
from bluegreen.cli.quick import Asked, plain_switch
from bluegreen.errors import BluegreenError, RefusalError, WhichAppError

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from argparse import Namespace

TRACE = "BLUEGREEN_TRACE"  # the variable that lets a defect show its stack trace

_ONLY_LOOK = {"check", "doctor", "history", "logs", "plan", "report", "status"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (0 to 5 as in the documentation, 130 on ^C)."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    say_what_can_be_said(sys.stdout)
    say_what_can_be_said(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # In a pipe, too, an error stands below what was said before it.
        sys.stdout.reconfigure(line_buffering=True)
    as_json = "--json" in typed  # for what is refused before it is understood
    begins = False
    try:
        options = plain_switch(typed) or _parse(typed)
        as_json, begins = options.json, _begins(options)
        status = _run_as_typed(options, typed)
        if sys.stdout is not None:
            sys.stdout.flush()
        if arguments is None and isinstance(options, Asked):
            # Nothing is left to do, and taking the interpreter down is a sixth of its time.
            os._exit(status)
    except BluegreenError as error:
        _say(error, as_json=as_json)
        return error.exit_status
    except KeyboardInterrupt:
        return _interrupted(begins=begins)
    except BrokenPipeError:
        # Whoever read our output has had enough; do not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        where = f"{error.filename}: " if error.filename else ""
        print(f"bluegreen: {where}{error.strerror or error}", file=sys.stderr)
        print("Next: see where it stands: bluegreen status", file=sys.stderr)
        return 1
    except Exception as error:
        if os.environ.get(TRACE):
            raise
        _say(_defect(error), as_json=as_json)
        return 1
    return status


def _interrupted(*, begins: bool) -> int:
    if begins:
        print("interrupted; an operation that has begun goes on", file=sys.stderr)
        print("Next: see it: bluegreen status", file=sys.stderr)
    return 130


def _defect(error: Exception) -> BluegreenError:
    return BluegreenError(
        f"unexpected {type(error).__name__}: {error}",
        remedy="this is a defect of bluegreen: please report it, with the trace that "
        f"{TRACE}=1 before the command shows; what the daemon has begun goes on: bluegreen status",
    )


def _parse(typed: list[str]) -> Namespace:
    from bluegreen.cli.parser import parse

    return parse(typed)


def _begins(options: Asked | Namespace) -> bool:
    """Whether the command may have begun something when it is interrupted."""
    return isinstance(options, Asked) or options.run[0] not in _ONLY_LOOK


def _run(options: Asked | Namespace) -> int:
    if isinstance(options, Asked):
        from bluegreen.cli.switch import switch

        return switch(options)
    import gc
    from importlib import import_module

    module, function = options.run
    gc.disable()  # modules are no garbage: to look for some takes a tenth of the daemon's start
    command = getattr(import_module(f"bluegreen.cli.{module}"), function)
    gc.enable()
    return int(command(options))


def _run_as_typed(options: Asked | Namespace, typed: list[str]) -> int:
    try:
        return _run(options)
    except RefusalError as error:
        if error.kind == WhichAppError.kind:  # the daemon does not know what was typed
            error.remedy = f"name one, as in: {_with_app(typed, options)}"
        raise


def _with_app(typed: list[str], options: Asked | Namespace) -> str:
    """The command as it was typed, with APP where the name of an app belongs."""
    import shlex

    if isinstance(options, Asked):
        words = ["switch", "back"] if options.slot == "back" else ["switch", "to", options.slot]
    else:
        words = options.prog.split()[1:]
        words += [options.slot] if words == ["switch", "to"] else []
    end = 0
    for word in words:
        end = typed.index(word, end) + 1
    return f"bluegreen {shlex.join([*typed[:end], 'APP', *typed[end:]])}"


def _say(error: BluegreenError, *, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(error.document()))
        return
    first, *rest = error.lines()
    print(f"bluegreen: {_visible(first)}", file=sys.stderr)
    for line in rest:
        print(_visible(line), file=sys.stderr)


def _visible(line: str) -> str:
    """The line without what a terminal would take for a command."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
