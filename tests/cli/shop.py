"""A directory that ``bluegreen init`` looks at, and the root that it writes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bluegreen.cli import main
from bluegreen.config.load import load_app
from bluegreen.config.settings import AppSettings
from bluegreen.config.values import TO_FILL_IN

UNITS = "etc/systemd/system"


def write(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def filled_in(file: Path) -> AppSettings:
    """The settings of a draft once the command is there that was not found."""
    command = 'command = "python3 app.py {port}"'
    with TemporaryDirectory() as directory:
        filled = Path(directory) / file.name
        filled.write_text(file.read_text().replace(f'command = "{TO_FILL_IN}"', command))
        return load_app(filled)


@dataclass(frozen=True)
class Place:
    """A directory ``shop`` to run the command in, and a root."""

    directory: Path
    root: Path

    def file(self, name: str = "shop") -> Path:
        return self.root / f"etc/bluegreen/apps/{name}.toml"

    def init(self, files: Mapping[str, str], *arguments: str) -> AppSettings:
        """The settings of the file that is written."""
        write(self.directory, files)
        assert main(["init", "--root", str(self.root), *arguments]) == 0
        return filled_in(self.file())

    def unit(self, name: str, text: str) -> None:
        text = text.replace("DIR", str(self.directory))
        write(self.root, {f"{UNITS}/{name}.service": f"[Service]\n{text}\n[Install]\nUser=x\n"})
