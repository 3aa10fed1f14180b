"""The tables of variables that an app file lays over each other, each with its env file.

On a host, what is secret stays in the operator's files: systemd reads those as root and hands them
over as credentials, which only the unit's user can read. A launcher lays them out, because
``EnvironmentFile=`` would win over all that is written in the unit, and knows less of what an env
file may hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.placeholders import expand
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.settings import AppSettings, BuildStep, Service
from bluegreen.config.settings import Environment as Table

_APP = "app"  # the label of what is for all of an app
_ENV_FILE = "env-file"  # ends the name of an env file's credential; no variable is called so


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A table of variables and the env file beside it. ``label`` begins its credentials' names."""

    label: str
    table: Table
    env_file: str | None

    @property
    def credentials(self) -> dict[str, Path]:
        """The operator's files that it needs, by the name of the credential."""
        files = {} if self.env_file is None else {f"{self.label}.{_ENV_FILE}": Path(self.env_file)}
        return files | {
            f"{self.label}.{name}": Path(value.file)
            for name, value in self.table.items()
            if isinstance(value, SecretFile)
        }

    def words(self, values: dict[str, str]) -> Iterator[str]:
        """Its variables for the launcher ``bluegreen-env``, the weakest first."""
        if self.env_file is not None:
            yield f"file={self.label}.{_ENV_FILE}"
        for name, value in self.table.items():
            if isinstance(value, str):
                yield f"text={name}={expand(value, values)}"
            else:
                yield f"secret={name}={self.label}.{name}"


def key_of(credential: str) -> str:
    """The app file's key that a credential of this name is for: ``services.api.env.TOKEN``.

    A build step stands under its name.
    """
    label, _, name = credential.rpartition(".")
    is_file = name == _ENV_FILE
    if label == _APP:
        return "env.env_file" if is_file else f"env.{name}"
    return f"{label}.env_file" if is_file else f"{label}.env.{name}"


def app_layer(settings: AppSettings) -> Layer:
    return Layer(label=_APP, table=settings.env, env_file=settings.env_file)


def service_layer(name: str, service: Service) -> Layer:
    return Layer(label=f"services.{name}", table=service.env, env_file=service.env_file)


def build_layer(step: BuildStep) -> Layer:
    return Layer(label=f"build.{step.name}", table=step.env, env_file=step.env_file)
