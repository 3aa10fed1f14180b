"""``python -m bluegreen.data.worker TASK REPORT``: work on data, in a process of its own.

It runs as a job of the app: what it reads and hashes keeps no switch waiting, ends with the
operation that it is for, and on a host it is the app's user that does it. TASK is a file with a
JSON document (see `bluegreen.data.tasks`); what came of it is written into the file REPORT, which
is there already; what it says meanwhile goes to its log.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from bluegreen.data.tasks import written_report


def _say(line: str) -> None:
    print(line, flush=True)


def main(task_file: str, report_file: str) -> int:
    """Exit status 0, with a result or an error."""
    os.umask(0o077)  # data are their owner's alone
    task = json.loads(Path(task_file).read_bytes())
    written = written_report(task["do"], task, _say)
    # The file is the daemon's, which has it open: no name of it is looked up again.
    with open(os.open(report_file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
        file.write(written)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
