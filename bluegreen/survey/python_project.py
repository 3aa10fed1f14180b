"""A Python project: how it is installed into an environment of its own, and what starts it."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from bluegreen.survey.command_line import command_text, in_directory, shell_word
from bluegreen.survey.directory import AppDirectory, joined
from bluegreen.survey.nouns import Found, FoundBuild, FoundService, Part

MARKS = ("pyproject.toml", "requirements.txt", "uv.lock", "poetry.lock", "manage.py", "Pipfile")
_ENTRY_FILES = ("main.py", "app.py", "server.py", "run.py", "wsgi.py", "asgi.py", "api.py")
_ASGI = ("FastAPI", "Starlette", "Litestar", "Quart", "BlackSheep")
_APPLICATION = re.compile(
    rf"^(?P<name>\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(?P<kind>{'|'.join(_ASGI)}|Flask)\(",
    re.MULTILINE,
)


def python_part(directory: AppDirectory, path: str) -> Part | None:
    """The project in ``path``, or None where there is none."""
    marks = [mark for mark in MARKS if directory.has(joined(path, mark))]
    if not marks:
        return None
    project = _pyproject(directory, path)
    service = _django(directory, path) or _application(directory, path)
    service = service or _script(directory, path, project)
    return Part(
        path=path,
        kind="python",
        build=_build(path, marks, project),
        service=service,
        found=tuple(Found(where=joined(path, mark), what="a Python project") for mark in marks[:1]),
    )


def venv_of(path: str) -> str:
    """The virtual environment that the build step of ``path`` makes."""
    return joined(path, ".venv")


def _pyproject(directory: AppDirectory, path: str) -> dict[str, Any]:
    name = joined(path, "pyproject.toml")
    text = directory.read(name)
    try:
        return tomllib.loads(text) if text is not None else {}
    except (ValueError, RecursionError):
        directory.unread.append(f"{name}: not TOML")
        return {}


def _build(path: str, marks: list[str], project: dict[str, Any]) -> FoundBuild:
    venv = shell_word(venv_of(path))
    install = f"{venv}/bin/pip install"
    itself = shell_word(f"./{path}") if path else "."
    remarks: list[str] = []
    if "requirements.txt" in marks:
        commands = [f"{install} -r {shell_word(joined(path, 'requirements.txt'))}"]
    elif "uv.lock" in marks and "pyproject.toml" in marks:
        remarks.append("uv.lock says which versions; uv itself comes into the environment too")
        commands = [
            f"{install} uv",
            f"{venv}/bin/uv export --project {itself} --frozen --no-dev --no-emit-project "
            f"--output-file {venv}/locked.txt --quiet",
            f"{install} -r {venv}/locked.txt",
        ]
        if "build-system" in project:
            commands.append(f"{install} --no-deps {itself}")
    elif "pyproject.toml" in marks:
        commands = [f"{install} {itself}"]
        if "poetry.lock" in marks:
            remarks.append("pip does not read poetry.lock; where poetry is installed, rather:")
            remarks.append("POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --only main")
    else:
        commands = []
        remarks.append(f"there is no list of packages beside {joined(path, marks[0])}: add what it")
        remarks.append(f"needs, such as: {install} django")
    return FoundBuild(
        name="python",
        commands=(f"python3 -m venv {venv}", *commands),
        remarks=tuple(remarks),
    )


def _packages(directory: AppDirectory, path: str) -> str:
    """All that names packages, as one text to look for names in."""
    names = ("requirements.txt", "pyproject.toml", "Pipfile")
    return "\n".join(directory.read(joined(path, name)) or "" for name in names).lower()


def _needs(directory: AppDirectory, path: str, package: str) -> bool:
    return re.search(rf"\b{package}\b", _packages(directory, path)) is not None


def _service(
    path: str, where: str, words: tuple[str, ...], script: str | None, *remarks: str
) -> FoundService:
    program = f"{venv_of('')}/bin/{words[0]}"
    return FoundService(
        name="web",
        command=command_text(in_directory((program, *words[1:]), path)),
        where=where,
        part=path,
        script=script,
        remarks=remarks,
    )


def _django(directory: AppDirectory, path: str) -> FoundService | None:
    manage = joined(path, "manage.py")
    if not directory.has(manage):
        return None
    packages = [
        name.removeprefix(f"{path}/" if path else "").split("/")[0]
        for name in directory.files
        if name.endswith("/wsgi.py") and name.startswith(path)
    ]
    if packages and packages[0].isidentifier() and _needs(directory, path, "gunicorn"):
        words = ("gunicorn", f"{packages[0]}.wsgi:application", "--bind", "127.0.0.1:{port}")
        return _service(path, manage, words, None)
    return _service(
        path, manage, ("python", "manage.py", "runserver", "--noreload", "127.0.0.1:{port}"), None,
        "this is Django's development server: install gunicorn and name it here instead",
    )  # fmt: skip


def _application(directory: AppDirectory, path: str) -> FoundService | None:
    """A module of the project, or of a package in it, that makes a FastAPI, Flask … application."""
    depth = path.count("/") + 1 if path else 0
    for name in directory.files:
        inner = name.removeprefix(f"{path}/") if path else name
        if not name.endswith(".py") or (path and inner == name) or name.count("/") > depth + 1:
            continue
        match = _APPLICATION.search(directory.read(name) or "")
        module = inner.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if match is None or not all(part.isidentifier() for part in module.split(".")):
            continue
        target = f"{module}:{match['name']}"
        listen = ("--host", "127.0.0.1", "--port", "{port}")
        if match["kind"] in _ASGI:
            server = "hypercorn" if _needs(directory, path, "hypercorn") else "uvicorn"
            at = ("--bind", "127.0.0.1:{port}") if server == "hypercorn" else listen
            return _service(path, name, (server, target, *at), name)
        if _needs(directory, path, "gunicorn"):
            words: tuple[str, ...] = ("gunicorn", target, "--bind", "127.0.0.1:{port}")
            return _service(path, name, words, name)
        return _service(
            path, name, ("flask", "--app", target, "run", *listen), name,
            "this is Flask's development server: install gunicorn and name it here instead",
        )  # fmt: skip
    return None


def _script(directory: AppDirectory, path: str, project: dict[str, Any]) -> FoundService | None:
    for name in _ENTRY_FILES:
        if directory.has(file := joined(path, name)):
            return _service(path, file, ("python", name), file)
    scripts = project.get("project", {})
    scripts = scripts.get("scripts", {}) if isinstance(scripts, dict) else {}
    for name in scripts if isinstance(scripts, dict) else ():
        if re.fullmatch(r"[A-Za-z0-9._-]+", name):
            return _service(path, joined(path, "pyproject.toml"), (name,), None)
    return None
