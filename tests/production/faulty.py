"""Versions of the sample app whose api misbehaves as only a process of its own can."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

_SERVE = """\
import http.server
import json
import os
import signal
import sys
import time
from pathlib import Path


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = {
            "status": "healthy",
            "slot": os.environ["MONITOR_SLOT"],
            "version": os.environ["BLUEGREEN_VERSION"],
        }
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve():
    port = int(os.environ["API_PORT"])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()


def fork_away():
    \"\"\"As a daemon does: two forks, and a session of its own.\"\"\"
    if os.fork():
        return True
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return False


"""
# What follows in monitor/api.py, by the version's name.
FAULTY: Mapping[str, str] = {
    "crash-loops": 'print("fatal: no servers are configured", flush=True)\nsys.exit(3)\n',
    "crashes-when-poisoned": 'if Path("data/poison").exists():\n    sys.exit(4)\nserve()\n',
    "daemonises": "if not fork_away():\n    serve()\n",
    "serves-from-afar": "if fork_away():\n    time.sleep(3600)\nserve()\n",
    "eats-memory": "eaten = bytearray(2**30)\nserve()\n",
}


def add_versions(repository: Path, sources: Mapping[str, str]) -> None:
    """Tag, in a repository of ``make_repository``, a version for each of ``sources``."""
    stream = b"".join(_commit(name, source) for name, source in sources.items())
    subprocess.run(
        ["git", f"--git-dir={repository}", "fast-import", "--quiet"],
        input=stream, check=True, timeout=30,
    )  # fmt: skip


def _commit(name: str, source: str) -> bytes:
    head = (
        f"commit refs/tags/{name}\n"
        "committer Server Monitor <monitor@example.org> 1800000000 +0000\n"
    )
    files = {"VERSION": f"{name}\n", "monitor/api.py": _SERVE + source}
    parts = [head.encode(), _data(name), b"from refs/heads/main^0\n"]
    parts += [b"M 100644 inline " + path.encode() + b"\n" + _data(t) for path, t in files.items()]
    return b"".join(parts)


def _data(text: str) -> bytes:
    content = text.encode()
    return b"data %d\n%s\n" % (len(content), content)
