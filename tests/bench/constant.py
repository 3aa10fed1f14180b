"""``python -m tests.bench.constant SOCKET BYTES``: aiohttp that gives one answer to everything."""

from __future__ import annotations

import sys

from aiohttp import web


def main() -> None:
    path, size = sys.argv[1:]
    body = b'{"constant": "' + b"x" * (int(size) - 16) + b'"}'

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    web.run_app(application, path=path, print=None, access_log=None)


if __name__ == "__main__":
    main()
