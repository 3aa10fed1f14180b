"""The api as many small ones are written: one thread, and so one connection at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

from .release import Release


def serve(release: Release, host: str, port: int) -> None:
    """Answer until the process is ended. An idle connection keeps all others waiting."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a connection stays open until its client closes it

        def do_GET(self) -> None:
            found = self.path == "/api/health"
            body = {"status": "healthy" if found else "not found", "service": release.service}
            self._answer(200 if found else 404, body)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            sent = json.loads(self.rfile.read(length) or b"{}")
            self._answer(200, {"n": sent.get("n")})

        def _answer(self, status: int, body: Mapping[str, object]) -> None:
            content = json.dumps({**body, **release.stamp}).encode()
            left = "closed" if self.close_connection else "kept"
            host = self.headers.get("Host", "nobody")
            print(f"{release.service}: answers {host}, connection {left}", flush=True)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    print(f"{release.service} {release.version}: one thread on {host}:{port}", flush=True)
    HTTPServer((host, port), Answers).serve_forever()
