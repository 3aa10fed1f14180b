"""A stranger on somebody else's port: answers every request as a healthy service would.

``python tests/apps/stranger.py PORT [--slot SLOT] [--version VERSION]``. It says on its standard
output when it listens, and runs until it is ended.
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Stranger(ThreadingHTTPServer):
    """Claims to be ``version`` in ``slot``."""

    daemon_threads = True

    def __init__(self, port: int, *, slot: str, version: str) -> None:
        super().__init__(("127.0.0.1", port), _Answers)
        claim = {"status": "healthy", "service": "stranger", "slot": slot, "version": version}
        self.claim = json.dumps(claim).encode()


class _Answers(BaseHTTPRequestHandler):
    server: Stranger

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.claim)))
        self.end_headers()
        self.wfile.write(self.server.claim)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as inherited)
        """Says nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers healthily on a port.")
    parser.add_argument("port", type=int)
    parser.add_argument("--slot", default="green")
    parser.add_argument("--version", default="v3-port-held")
    arguments = parser.parse_args()
    with Stranger(arguments.port, slot=arguments.slot, version=arguments.version) as stranger:
        print(f"listens on 127.0.0.1:{arguments.port}", flush=True)
        stranger.serve_forever()


if __name__ == "__main__":
    main()
