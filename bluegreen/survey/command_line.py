"""From the command lines of others to commands of the app file, which no shell reads."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_PORT_VARIABLE = re.compile(r"\$(?:PORT\b|\{PORT(?::?[-=]([0-9]*))?\})")
_NEEDS_SHELL = re.compile(r"[|&;<>()`$*?~\n]")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./{}-]+")
# Options that say where to listen, and what they say.
_LISTEN = r"(?:-[pbl]|--(?:[a-z]+-)*(?:port|bind|listen|address|addr))"
_OPTION = re.compile(_LISTEN)
_WITH_VALUE = re.compile(rf"(?P<option>{_LISTEN}=|-[pbl])(?P<value>.+)")
_PORT = re.compile(r"(?P<host>(?:[^/]*:)?)(?P<port>[0-9]{4,5})")
_SOCKET = re.compile(r"unix:/?[^,]+")
# Programs whose next word may be an address.
_BEFORE_ADDRESS = frozenset({"runserver", "http.server"})
PYTHON_TOOLS = frozenset({
    "pip", "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress-serve", "granian", "uwsgi",
    "flask", "fastapi", "celery", "rq", "dramatiq", "huey_consumer", "django-admin", "alembic",
    "streamlit",
})  # fmt: skip
SERVERS = frozenset({
    "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress-serve", "granian", "uwsgi", "flask",
    "fastapi", "runserver", "http.server", "streamlit", "next", "nuxt", "serve",
})  # fmt: skip

# The variable by which a program that is told of no port takes one (its own documentation).
PORT_VARIABLES = {
    "gunicorn": "PORT", "next": "PORT", "nuxt": "PORT", "serve": "PORT",
    "uvicorn": "UVICORN_PORT", "flask": "FLASK_RUN_PORT", "streamlit": "STREAMLIT_SERVER_PORT",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Line:
    """A command line taken apart. ``words`` have placeholders where its port or socket was."""

    words: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    socket: bool = False
    for_shell: bool = False  # it is a text for sh

    @property
    def listens(self) -> bool:
        return any("{port}" in w or "{socket}" in w for w in self.words) or not SERVERS.isdisjoint(
            word.rpartition("/")[2] for word in self.words
        )


def from_shell(text: str) -> Line:
    """A line as Procfiles and package.json have it. Raises ValueError on open quotes."""
    given = next((int(m[1]) for m in _PORT_VARIABLE.finditer(text) if m[1]), None)
    bare = _literal(_PORT_VARIABLE.sub("\0", text)).replace("\0", "{port}")
    if _NEEDS_SHELL.search(bare):
        shlex.split(text)
        simple = re.search(r"[|&;()\n]", text) is None and not _ASSIGNMENT.match(text)
        # $PORT stays: bluegreen sets it.
        words = ("sh", "-c", _literal(f"exec {text}" if simple else text))
        return Line(words=words, port=given, for_shell=True)
    words_left = shlex.split(bare)
    env: dict[str, str] = {}
    while words_left and (assignment := _ASSIGNMENT.fullmatch(words_left[0])):
        env[assignment[1]] = assignment[2]
        del words_left[0]
    line = from_words(words_left, literal=True)
    return Line(words=line.words, env=env, port=line.port or given, socket=line.socket)


def from_words(words: Sequence[str], *, literal: bool = False) -> Line:
    """The words of a command, with its port or socket found and replaced.

    ``literal``: braces in ``words`` are as the app file needs them already.
    """
    done = [word if literal else _literal(word) for word in words]
    port, socket = None, False
    for index, word in enumerate(done):
        before = done[index - 1] if index else ""
        option, value = "", word
        if not (_OPTION.fullmatch(before) or before in _BEFORE_ADDRESS):
            match = _WITH_VALUE.fullmatch(word)
            if match is None:
                continue
            option, value = match["option"], match["value"]
        if found := _PORT.fullmatch(value):
            if usable(int(found["port"])) and port in (None, int(found["port"])):
                port = int(found["port"])
                done[index] = f"{option}{found['host']}{{port}}"
        elif _SOCKET.fullmatch(value):
            socket = True
            done[index] = f"{option}unix:{{socket}}"
    return Line(words=tuple(done), port=port, socket=socket and port is None)


def usable(port: int) -> bool:
    """Whether a service of an ordinary user can have it."""
    return 1024 <= port <= 65535


def command_text(words: Sequence[str]) -> str:
    """The words as an app file's ``command``, which is split as a shell would."""
    return " ".join(w if _PLAIN_WORD.fullmatch(w) else shlex.quote(w) for w in words)


def shell_word(text: str) -> str:
    """A path as one word of a build step's script."""
    return _literal(shlex.quote(text))


def in_directory(words: Sequence[str], part: str) -> tuple[str, ...]:
    """The command with ``part`` as its working directory (coreutils' ``env``, no shell)."""
    return ("env", f"--chdir={_literal(part)}", *words) if part else tuple(words)


def is_python(program: str) -> bool:
    """Whether a virtual environment would have the program."""
    name = program.rpartition("/")[2]
    return re.fullmatch(r"python[0-9.]*", name) is not None or name in PYTHON_TOOLS


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
