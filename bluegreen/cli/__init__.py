"""The ``bluegreen`` command. What a command does not need, it does not import."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from bluegreen.cli.parser import parse
from bluegreen.errors import BluegreenError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (0 to 5 as in the documentation, 130 on ^C)."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    module, function = options.run
    try:
        status = getattr(import_module(f"bluegreen.cli.{module}"), function)(options)
        sys.stdout.flush()
    except BluegreenError as error:
        _say(error, as_json=options.json)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted; what the daemon has begun goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; do not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return int(status)


def _say(error: BluegreenError, *, as_json: bool) -> None:
    if as_json:
        import json

        document = {
            "error": error.kind, "message": error.message,
            "detail": list(error.detail), "remedy": error.remedy,
        }  # fmt: skip
        print(json.dumps(document))
        return
    first, *rest = error.lines()
    print(f"bluegreen: {first}", file=sys.stderr)
    for line in rest:
        print(line, file=sys.stderr)
