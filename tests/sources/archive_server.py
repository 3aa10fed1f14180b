"""A server of archives on loopback, with the ways in which servers misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_certificate(directory: Path) -> Path:
    """A certificate of 127.0.0.1 and localhost that is its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return file


class ConnectProxy:
    """A proxy for https: what it was asked, and what it answers instead of connecting."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.refuses: int | None = None
        self.address = ""

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[ConnectProxy]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, asked: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        self.heads.append((await asked.readuntil(b"\r\n\r\n")).decode())
        if self.refuses is not None:
            answer.write(f"HTTP/1.1 {self.refuses} No\r\nContent-Length: 0\r\n\r\n".encode())
            answer.close()
            return
        host, _, port = self.heads[-1].split()[1].rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(self._pass(asked, back), self._pass(there, answer))

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


class ArchiveServer:
    """Serves ``files`` by path, with ranges and ETags; ``handlers`` come first."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.handlers: dict[str, Handler] = {}
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.url = ""
        self._stop = asyncio.Event()

    @contextlib.asynccontextmanager
    async def serve(self, certificate: Path | None = None) -> AsyncIterator[ArchiveServer]:
        context = None
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
        try:
            yield self
        finally:
            self._stop.set()
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        self.requests.append((request.method, path, request.headers.get("Range")))
        if (handler := self.handlers.get(path)) is not None:
            return await handler(request)  # type: ignore[arg-type]
        content = self.files.get(path)
        if content is None:
            return web.Response(status=404)
        etag = f'"{hash(content)}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        response = web.Response(body=content, headers={"ETag": etag})
        start = request.http_range.start
        if start and request.headers.get("If-Range") == etag:
            response = web.Response(status=206, body=content[start:], headers={"ETag": etag})
            response.headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return response

    def cut_off(self, content: bytes, *after: int, etag: str | None = '"1"') -> Handler:
        """An answer that ends in the middle, each time after so many bytes; then it is whole."""
        ends = list(after)

        async def handle(request: web.Request) -> web.StreamResponse:
            start = request.http_range.start or 0
            if etag is None or request.headers.get("If-Range") != etag:
                start = 0
            part = content[start:]
            headers = {"Content-Length": str(len(part))}
            if etag is not None:
                headers["ETag"] = etag
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            response = web.StreamResponse(status=206 if start else 200, headers=headers)
            await response.prepare(request)
            if ends:
                await response.write(part[: ends.pop(0)])
                assert request.transport is not None
                request.transport.close()
            else:
                await response.write(part)
            return response

        return handle

    def stalled(self, content: bytes) -> Handler:
        """Half of ``content``, and then nothing more."""

        async def handle(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": str(len(content))})
            await response.prepare(request)
            await response.write(content[: len(content) // 2])
            await self._stop.wait()
            return response

        return handle

    @staticmethod
    def redirect(location: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": location})

        return handle

    @staticmethod
    def status(status: int) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status)

        return handle
