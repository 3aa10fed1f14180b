"""``python -m bluegreen.installation``: what ``deploy/install`` and the package's scripts run."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bluegreen.errors import BluegreenError
from bluegreen.installation.activation import Activation
from bluegreen.installation.places import SystemPlaces
from bluegreen.installation.removal import remove
from bluegreen.installation.system_files import stage

NEXT = """\
Next: describe an app: bluegreen init writes a draft for /etc/bluegreen/apps/APP.toml
      have root's part of it written: sudo bluegreen apply
      bring it up: sudo bluegreen deploy APP VERSION
      (members of the group bluegreen need no sudo for commands but apply)"""


class InstallationError(BluegreenError):
    """The system did not let a file be written or removed."""

    kind = "installation"


def main() -> int:
    options = _parsed()
    os.umask(0o022)
    places = SystemPlaces(options.prefix)
    # This very program is the version that is meant.
    version = Activation(
        Path(sys.prefix).name, places, packaged=options.packaged, say=_say
    )  # fmt: skip
    try:
        if options.what == "activate":
            _say("everything is in place" if not version.run() else "done")
            if not any(Path("/etc/bluegreen/apps").glob("*.toml")):
                print(NEXT)
        elif options.what == "files":
            version.write_files()
        elif options.what == "stage":
            stage(options.directory, places)
        else:
            remove(places, packaged=options.packaged, say=_say)
    except BluegreenError as error:
        return _refuse(error)
    except OSError as error:
        return _refuse(
            InstallationError(
                f"{error.filename or 'the disk'}: {error.strerror or error}",
                remedy="see to that file and to the disk (df -h), then do the same again: it "
                "carries on where this ended",
            )
        )
    return 0


def _refuse(error: BluegreenError) -> int:
    for line in error.lines():
        print(f"install: {line}", file=sys.stderr)
    return error.exit_status


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bluegreen.installation")
    parser.add_argument(
        "what", choices=["activate", "files", "stage", "remove"],
        help="make this version the one that counts; write its files; write those of a package; "
        "take bluegreen off this host",
    )  # fmt: skip
    parser.add_argument("--prefix", type=Path, required=True, help="/usr/local or /usr")
    parser.add_argument(
        "--packaged", action="store_true", help="the files below the prefix are a package's"
    )
    parser.add_argument("--directory", type=Path, help="stage: below which directory")
    return parser.parse_args()


def _say(what: str) -> None:
    print(f"install: {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
