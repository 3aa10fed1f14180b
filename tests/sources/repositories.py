"""Real git repositories for tests, made with a fixed author and no global configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bluegreen.config.source_section import Source
from bluegreen.layout import AppLayout, Layout
from bluegreen.sources.git import GitSource


def git(
    directory: Path, *arguments: str, text: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run git in ``directory``; its output."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
        **(env or {}),
    }
    result = subprocess.run(
        ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org",
         "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", *arguments],
        cwd=directory, env=environment, check=True, capture_output=True, text=True,
        input=text,
    )  # fmt: skip
    return result.stdout.strip()


class Repository:
    """A repository with a work tree."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        git(directory, "init", "--quiet")

    def commit(self, files: dict[str, str], *, tag: str | None = None) -> str:
        """Write ``files``, commit them, and return the commit's name."""
        for name, content in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git(self.directory, "add", "--all")
        git(self.directory, "commit", "--quiet", "--allow-empty", "-m", "a change")
        if tag is not None:
            git(self.directory, "tag", tag)
        return git(self.directory, "rev-parse", "HEAD")

    def git(
        self, *arguments: str, text: str | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        return git(self.directory, *arguments, text=text, env=env)


def layout_in(root: Path) -> AppLayout:
    return Layout(root / "root").app("shop")


def source_of(
    root: Path, address: str, *, timeout: float = 30.0, submodules: bool = True, **more: object
) -> GitSource:
    """A git source of the app "shop", its cache below ``root``; ``more`` keys of [source]."""
    settings = Source.model_validate(
        {"git": address, "submodules": submodules, "timeout": f"{timeout:g}s", **more}
    )
    return GitSource("shop", settings, layout_in(root))


def files_in(tree: Path) -> dict[str, str]:
    """Every file of ``tree`` with its content."""
    return {
        str(path.relative_to(tree)): path.read_text()
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }


def cache(root: Path) -> Path:
    """Where the sources below ``root`` keep their mirrors."""
    return layout_in(root).cache
