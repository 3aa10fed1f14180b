"""The files that an app's environments come from, looked at before anything needs them."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.env_file import UnusableFileError
from bluegreen.config.environment import resolve
from bluegreen.config.layers import Layer
from bluegreen.config.places import Place, dotted
from bluegreen.config.problems import Finding
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.settings import AppSettings, BuildStep, Environment, Service
from bluegreen.errors import ConfigError
from bluegreen.remedies import Remedies


def unusable_files(settings: AppSettings) -> list[str]:
    """A line for each that cannot be used: the app file's key, the file, the reason. Blocking."""
    return [f"{dotted(place)}: {error.message}" for place, error in _errors(settings)]


def file_findings(settings: AppSettings, remedies: Remedies) -> Iterator[Finding]:
    """Each that cannot be used, as far as whoever asks may look. Blocking.

    Secrets of webhooks too, which keep no release from being deployed.
    """
    found = [(*one, remedies.usable) for one in _errors(settings)]
    found += [(*one, remedies.usable_by_daemon) for one in _secrets(settings)]
    for place, error, usable in found:
        if not isinstance(error.__cause__, PermissionError):  # another user's, as secrets are
            right = error.remedy.removesuffix(".")
            if isinstance(error, UnusableFileError):
                right = usable(error.file)
            yield Finding(place=place, wrong=error.message, right=right)


def _errors(settings: AppSettings) -> Iterator[tuple[Place, ConfigError]]:
    for place, layer in _files(settings):
        try:
            resolve(layer, values={}, base={})
        except ConfigError as error:
            yield place, error


def _secrets(settings: AppSettings) -> Iterator[tuple[Place, ConfigError]]:
    for index, webhook in enumerate(settings.webhook):
        for secret in webhook.secret:
            try:
                secret.read()
            except ConfigError as error:
                yield ("webhook", index, "secret"), error


def _files(settings: AppSettings) -> Iterator[tuple[Place, Layer]]:
    """Each as a layer of its own, under its key."""
    yield from _files_of((), settings.env)
    if settings.env_file is not None:
        yield ("env", "env_file"), _layer(env_file=settings.env_file)
    owners: list[tuple[Place, BuildStep | Service]] = [
        *((("build", index), step) for index, step in enumerate(settings.build)),
        *((("services", name), service) for name, service in settings.services.items()),
    ]
    for place, owner in owners:
        yield from _files_of(place, owner.env)
        if owner.env_file is not None:
            yield (*place, "env_file"), _layer(env_file=owner.env_file)


def _files_of(place: Place, env: Environment) -> Iterator[tuple[Place, Layer]]:
    for name, value in env.items():
        if isinstance(value, SecretFile):
            yield (*place, "env", name), _layer({name: value})


def _layer(table: Environment | None = None, env_file: str | None = None) -> Layer:
    return Layer(label="", table=table or {}, env_file=env_file)
