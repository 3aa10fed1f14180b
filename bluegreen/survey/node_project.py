"""A Node project: how it is installed and built, and what starts it."""

from __future__ import annotations

import json
import re
from typing import Any

from bluegreen.survey.command_line import (
    Line,
    command_text,
    from_shell,
    in_directory,
    shell_word,
)
from bluegreen.survey.directory import AppDirectory, joined
from bluegreen.survey.nouns import Found, FoundBuild, FoundService, Part

_DEVELOPMENT = re.compile(
    r"^(?:\S*=\S* )*(?:vite(?: dev| serve)?(?: |$)|next dev|nuxt dev|react-scripts start|ng serve|"
    r"vue-cli-service serve|webpack(?:-dev-server| serve)|nodemon|parcel(?: serve)? )"
)

# Where those leave what browsers fetch, unless they are told otherwise.
_BUNDLERS = {
    "vite": "dist", "webpack": "dist", "@vue/cli-service": "dist", "react-scripts": "build",
}  # fmt: skip


def node_part(directory: AppDirectory, path: str) -> Part | None:
    """The project in ``path``, or None where there is none."""
    name = joined(path, "package.json")
    text = directory.read(name)
    if text is None:
        return None
    try:
        package = json.loads(text)
    except (ValueError, RecursionError):
        directory.unread.append(f"{name}: not JSON")
        return None
    if not isinstance(package, dict):
        return None
    service, remarks = _service(directory, path, package)
    return Part(
        path=path,
        kind="node",
        build=_build(directory, path, package, remarks),
        service=service,
        found=(Found(where=name, what="a Node project"),),
    )


def has_workspaces(directory: AppDirectory) -> bool:
    """Whether the project at the top installs those in its directories as well."""
    package = directory.read("package.json") or ""
    return '"workspaces"' in package or directory.has("pnpm-workspace.yaml")


def _build(
    directory: AppDirectory, path: str, package: dict[str, Any], remarks: list[str]
) -> FoundBuild:
    install, run = _package_manager(directory, path, package)
    if install == "npm install":
        remarks = [*remarks, "without a lock file two builds of one version may differ"]
    into = (f"cd {shell_word(path)}",) if path else ()
    build = (f"{run} build",) if "build" in _scripts(package) else ()
    if build and (built := _bundle(package)):
        remarks = [
            *remarks,
            "what browsers have of the old version stays reachable after a switch by",
            f'assets = "{joined(path, built)}" of [[routes]], if that is where it is built',
        ]
    return FoundBuild(name="node", commands=(*into, install, *build), remarks=tuple(remarks))


def _bundle(package: dict[str, Any]) -> str | None:
    """The directory that its bundler makes, if it has one that is known."""
    tables = (package.get("dependencies"), package.get("devDependencies"))
    needed = {name for table in tables if isinstance(table, dict) for name in table}
    return next((made for name, made in _BUNDLERS.items() if name in needed), None)


def _package_manager(
    directory: AppDirectory, path: str, package: dict[str, Any]
) -> tuple[str, str]:
    """The command that installs exactly what the lock file says, and the one that runs scripts."""
    if directory.has(joined(path, "pnpm-lock.yaml")):
        return "pnpm install --frozen-lockfile", "pnpm run"
    if directory.has(joined(path, "yarn.lock")):
        classic = not directory.has(joined(path, ".yarnrc.yml")) and not re.match(
            r"yarn@[2-9]", str(package.get("packageManager", ""))
        )
        return f"yarn install --{'frozen-lockfile' if classic else 'immutable'}", "yarn run"
    locks = ("package-lock.json", "npm-shrinkwrap.json")
    if any(directory.has(joined(path, lock)) for lock in locks):
        return "npm ci", "npm run"
    return "npm install", "npm run"


def _service(
    directory: AppDirectory, path: str, package: dict[str, Any]
) -> tuple[FoundService | None, list[str]]:
    where = joined(path, "package.json")
    start = _scripts(package).get("start")
    if start is None and directory.has(joined(path, "server.js")):
        start = "node server.js"  # what npm itself does
    if start is None:
        return None, [f"{where} has no start script: what it builds must be served by a service"]
    if _DEVELOPMENT.match(start):
        return None, [
            f"the start script of {where} is a development server: what is built must be",
            "served by a service",
        ]
    try:
        line = from_shell(start)
    except ValueError:
        line = Line(words=(), for_shell=True)
    remarks: tuple[str, ...] = ()
    words = _without_npm(line, package)
    if words is None:
        words = ("npm", "run", "--silent", "start")
        remarks = ("name the program itself where you can: npm stands between it and its signals",)
    script = next((word for word in words[1:] if word.endswith((".js", ".mjs", ".cjs"))), None)
    service = FoundService(
        name="web",
        command=command_text(in_directory(words, path)),
        where=where,
        port=line.port,
        env={"NODE_ENV": "production", **line.env},
        part=path,
        script=joined(path, script.removeprefix("./")) if script else None,
        remarks=remarks,
    )
    return service, []


def _without_npm(line: Line, package: dict[str, Any]) -> tuple[str, ...] | None:
    """The command of the start script where it can stand by itself."""
    if line.for_shell or not line.words:
        return None
    program = line.words[0]
    if program == "node":
        return line.words
    dependencies = package.get("dependencies")
    if isinstance(dependencies, dict) and program in dependencies:
        return (f"node_modules/.bin/{program}", *line.words[1:])
    return None


def _scripts(package: dict[str, Any]) -> dict[str, str]:
    scripts = package.get("scripts")
    if not isinstance(scripts, dict):
        return {}
    return {name: text for name, text in scripts.items() if isinstance(text, str)}
