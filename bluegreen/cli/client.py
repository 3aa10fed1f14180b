"""The daemon's API over its unix socket, in as few imports as a quick command can afford.

HTTP/1.0 with one request a connection: an answer ends where the connection does, so this needs
neither chunks nor a library, whose import would take longer than a switch.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator

from bluegreen.errors import DaemonUnreachableError, RefusalError, UsageError
from bluegreen.remedies import remedies_of

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

CONNECT_LIMIT = 5.0  # seconds
LOOK_LIMIT = 30.0  # seconds in which whatever is only looked at is answered
LONGEST_NAME = 100  # characters: no app has a longer one
LIFE_LIMIT = 10.0  # seconds in which a daemon that is busy with a request still answers another


class SilentDaemonError(DaemonUnreachableError):
    """What is asked is taken, by the daemon or for it by systemd, and nothing is answered."""


class Client:
    """Requests to the daemon of one root. Raises DaemonUnreachableError, RefusalError.

    A socket that systemd listens on takes requests while the daemon does not run, and one that
    never comes up would let them wait for ever.
    """

    def __init__(self, root: Path | str, *, patience: float = LOOK_LIMIT) -> None:
        """``patience`` is in seconds, for an answer or at least for a sign of life."""
        self._root = root
        self.remedies = remedies_of(root)
        self._patience = patience
        self._path = os.path.join(root, "run/bluegreen/control.sock")

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Waits for as long as the daemon shows that it lives.

        A switch to a cold slot, for one, is answered when traffic has moved.
        """
        return self._ask("POST", path, body or {})

    def delete(self, path: str) -> Any:
        """Waits as ``post`` does."""
        return self._ask("DELETE", path, None)

    def lines(
        self, path: str, headers: str = "", *, quiet_limit: float | None = None
    ) -> Iterator[str]:
        """The lines of a streamed answer as they come, at most ``quiet_limit`` seconds apart.

        None: it may be quiet for as long as it likes, once it has begun.
        """
        with (
            self._send("GET", path, None, headers) as connection,
            connection.makefile("rb") as file,
        ):
            try:
                status = self._status(file.readline())
                while file.readline() not in (b"\r\n", b""):
                    pass
                if status >= 400:
                    raise RefusalError(self._document(file.read()))
                connection.settimeout(quiet_limit)
                for line in file:
                    yield line.decode().rstrip("\n")
            except TimeoutError as error:
                raise self._silent() from error
            except OSError as error:
                raise self._hung_up(error) from error

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        with self._send(method, path, body) as connection:
            answer = bytearray()
            try:
                while part := self._part(connection, waits=method != "GET"):
                    answer += part
            except OSError as error:
                raise self._hung_up(error) from error
        head, _, content = bytes(answer).partition(b"\r\n\r\n")
        document = self._document(content)
        if self._status(head) >= 400:
            raise RefusalError(document)
        return document

    def _part(self, connection: socket.socket, *, waits: bool) -> bytes:
        """What comes next; it is waited for while the daemon lives, or for one time of patience."""
        while True:
            try:
                return connection.recv(65536)
            except TimeoutError as error:
                if not waits:
                    raise self._silent() from error
                if not self._lives():
                    raise self._silent("what was asked for may yet be done") from error

    def _lives(self) -> bool:
        try:
            Client(self._root, patience=min(LIFE_LIMIT, self._patience)).get("/healthz")
        except DaemonUnreachableError:
            return False
        except RefusalError:
            pass  # it has trouble, and says so
        return True

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: str = ""
    ) -> socket.socket:
        content = b"" if body is None else _encoded(body)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_LIMIT)
        try:
            connection.connect(self._path)
            connection.settimeout(self._patience)
            kind = "Content-Type: application/json\r\n" if content else ""
            head = (
                f"{method} {path} HTTP/1.0\r\nHost: bluegreen\r\n{kind}{headers}"
                f"Content-Length: {len(content)}\r\n\r\n"
            )
            connection.sendall(head.encode() + content)
        except OSError as error:
            connection.close()
            raise self._unreachable(error) from error
        return connection

    def _status(self, head: bytes) -> int:
        words = head.split(None, 2)
        if len(words) < 2 or not words[1].isdigit():
            raise self._hung_up(None)
        return int(words[1])

    def _document(self, content: bytes) -> dict[str, Any]:
        try:
            document = json.loads(content or b"{}")
        except ValueError:
            document = None
        if isinstance(document, dict):
            return document
        raise DaemonUnreachableError(
            f"what answers on {self._path} does not answer as bluegreen does: "
            + content[:80].decode(errors="replace").strip(),
            remedy="look at what was asked for, and at what serves there",
        )

    def _hung_up(self, error: OSError | None) -> DaemonUnreachableError:
        why = f" ({error.strerror or error})" if error is not None else ""
        return DaemonUnreachableError(
            f"the daemon ended before it had answered{why}",
            remedy=f"see whether it runs, and what became of it: {self.remedies.bluegreen} history",
        )

    def _silent(self, besides: str = "") -> SilentDaemonError:
        remedy = f"{self.remedies.see_why}; then ask again"
        if besides:
            remedy += f": {besides}, see {self.remedies.bluegreen} history"
        return SilentDaemonError(
            f"the daemon does not answer: {self._path} takes what is asked, and nothing came back "
            f"within {self._patience:g} s",
            remedy=remedy,
        )

    def _unreachable(self, error: OSError) -> DaemonUnreachableError:
        if isinstance(error, PermissionError):
            return DaemonUnreachableError(
                f"you may not use {self._path}",
                remedy="ask as root, or as a member of the socket's group",
            )
        from bluegreen.daemon_lock import holder

        if (daemon := holder(self._root)) is not None:
            return DaemonUnreachableError(
                f"a daemon (pid {daemon}) runs, and nothing answers on {self._path} "
                f"({error.strerror or error}): it is starting or ending, or its socket was removed",
                remedy="ask again; if that does not help, restart the daemon, which makes its "
                f"socket again: {self.remedies.restart} (the apps stay up)",
            )
        return DaemonUnreachableError(
            f"no daemon answers on {self._path} ({error.strerror or error})",
            remedy=f"start it: {self.remedies.start}; another root is named by --root or "
            "BLUEGREEN_ROOT",
        )


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        wrong = error.object[error.start : error.end].encode(errors="surrogateescape")
        raise UsageError(
            f"what was typed is not UTF-8 text: the bytes {wrong.hex(' ')}",
            remedy="name it in UTF-8, as names of versions and reasons are kept",
        ) from error


def app_path(named: str | None) -> str:
    """``/v1/apps/APP`` of the app that was named; the daemon knows its only one by ``-``."""
    if named is None:
        return "/v1/apps/-"
    if not named:
        raise UsageError(
            "the name of the app is empty", remedy="name one that `bluegreen status` lists"
        )
    if len(named) > LONGEST_NAME:
        raise UsageError(
            f"{named[:LONGEST_NAME]}... cannot be the name of an app",
            remedy="name one that `bluegreen status` lists",
        )
    if named.isascii() and named.replace("-", "").isalnum():
        return f"/v1/apps/{named}"  # as names are; importing what quotes others takes long
    from urllib.parse import quote

    return f"/v1/apps/{quote(os.fsencode(named), safe='')}"


def app_and_operation(app: str | None, number: int | None) -> tuple[str | None, int | None]:
    """``cancel 7``, where there is one app, reaches us with the number as the app."""
    if number is None and app is not None and app.isdecimal() and len(app) <= LONGEST_NAME:
        return None, int(app)
    return app, number


def require_beside_app(
    client: Client, app: str | None, named: str, what: str, command: str
) -> None:
    """Refuse ``plan shop``, which reaches us as the version shop of the only app, itself shop.

    ``what`` is what was to be named beside it. Raises UsageError.
    """
    if app is not None or not (named.isascii() and named.replace("-", "").isalnum()):
        return
    try:
        client.get(app_path(named))
    except RefusalError:
        return  # no app is called so
    raise UsageError(
        f"{named} is an app, and its {what} is not named",
        remedy=f"{command} {named} {what}; where {named} is a {what}, too: "
        f"{command} {named} {named}",
    )
