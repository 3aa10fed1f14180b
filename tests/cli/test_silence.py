"""A socket that takes what is asked, as systemd's does for a daemon that never comes up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from bluegreen.cli import follow
from bluegreen.cli.client import Client, SilentDaemonError
from bluegreen.layout import Layout

SOON = 0.1  # seconds of patience with what never answers


@pytest.fixture
def silent(root: Path) -> Iterator[Path]:
    """A root whose socket is listened on by somebody who accepts nothing."""
    path = Layout(root).control_socket
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield root


def test_whoever_only_looks_is_told_that_nobody_answers_and_how_to_see_why(silent: Path) -> None:
    client = Client(silent, patience=SOON)
    for ask in (lambda: client.get("/v1/apps"), lambda: list(client.lines("/v1/apps/-/logs"))):
        with pytest.raises(SilentDaemonError) as caught:
            ask()
        assert "the daemon does not answer" in caught.value.message
        assert caught.value.remedy == f"{client.remedies.see_why}; then ask again"
        assert caught.value.exit_status == 3


def test_who_asked_for_a_change_is_told_that_it_may_yet_come(silent: Path) -> None:
    with pytest.raises(SilentDaemonError) as caught:
        Client(silent, patience=SOON).post("/v1/apps/-/deployments", {"version": "v1"})
    assert "may yet be done, see bluegreen" in caught.value.remedy


def test_who_follows_an_operation_notices_that_no_daemon_comes_back(
    silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PATIENCE", SOON)
    with pytest.raises(SilentDaemonError):
        list(follow.events_of(Client(silent, patience=SOON), 1))


class _Server(ThreadingMixIn, UnixStreamServer):
    """Answers a POST once it has been asked for two signs of life; of events, sends one."""

    asked_for_life = 0
    may_answer: threading.Event


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.server.asked_for_life += 1
            self._answer(b"{}")
            if self.server.asked_for_life == 2:
                self.server.may_answer.set()
            return
        self._answer(b'id: 1\nevent: phase\ndata: {"phase": "build"}\n\n')
        self.server.may_answer.wait()  # and then nothing: it has been frozen

    def do_POST(self) -> None:
        self.server.may_answer.wait()
        self._answer(b'{"to": "blue"}')

    def _answer(self, body: bytes) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        self.wfile.flush()

    def address_string(self) -> str:
        return "a unix socket"

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _serving(root: Path) -> Iterator[_Server]:
    path = Layout(root).control_socket
    path.parent.mkdir(parents=True)
    with _Server(str(path), _Handler) as server:
        server.may_answer = threading.Event()
        thread = threading.Thread(target=server.serve_forever, name="silent daemon")
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()


def test_an_answer_that_takes_long_is_waited_for_while_the_daemon_lives(root: Path) -> None:
    with _serving(root) as server:
        answer = Client(root, patience=1.0).post("/v1/apps/-/switch", {"to": "back"})
        assert answer == {"to": "blue"}
        assert server.asked_for_life >= 2


def test_a_daemon_that_freezes_under_whoever_follows_is_noticed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PATIENCE", SOON / 2)
    monkeypatch.setattr(follow, "QUIET_LIMIT", SOON)
    with _serving(root):
        events = follow.events_of(Client(root), 1)
        assert next(events) == ("phase", {"phase": "build"})
        with pytest.raises(SilentDaemonError):
            next(events)
