"""The files that an app's environments come from, looked at before anything needs them."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.environment import resolve
from bluegreen.config.layers import Layer
from bluegreen.config.settings import AppSettings, BuildStep, Environment, SecretFile, Service
from bluegreen.errors import ConfigError


def unusable_files(settings: AppSettings) -> list[str]:
    """A line for each that cannot be used: the app file's key, the file, the reason. Blocking."""
    found = []
    for key, layer in _files(settings):
        try:
            resolve(layer, values={}, base={})
        except ConfigError as error:
            found.append(f"{key}: {error.message}")
    return found


def _files(settings: AppSettings) -> Iterator[tuple[str, Layer]]:
    """Each as a layer of its own, under its key."""
    yield from _files_of("", settings.env)
    if settings.env_file is not None:
        yield "env.env_file", _layer(env_file=settings.env_file)
    owners: list[tuple[str, BuildStep | Service]] = [
        *((f"build[{index}].", step) for index, step in enumerate(settings.build)),
        *((f"services.{name}.", service) for name, service in settings.services.items()),
    ]
    for place, owner in owners:
        yield from _files_of(place, owner.env)
        if owner.env_file is not None:
            yield f"{place}env_file", _layer(env_file=owner.env_file)


def _files_of(place: str, env: Environment) -> Iterator[tuple[str, Layer]]:
    for name, value in env.items():
        if isinstance(value, SecretFile):
            yield f"{place}env.{name}", _layer({name: value})


def _layer(table: Environment | None = None, env_file: str | None = None) -> Layer:
    return Layer(label="", table=table or {}, env_file=env_file)
