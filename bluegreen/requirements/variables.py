"""Variables that services need, and those that have a default in this version."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from bluegreen.config.env_file import read_env_file
from bluegreen.config.environment import default_variables, service_environment
from bluegreen.config.layers import Layer, app_layer, service_layer
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.secrets import MASK, looks_secret
from bluegreen.errors import ConfigError, PreflightError
from bluegreen.requirements.candidate import Candidate


def unmet_variables(candidate: Candidate) -> list[PreflightError]:
    """Those of ``requires.env`` that no service gets, or that are empty in all that do.

    Of a file that only root may read it is enough that it is there to be given. A file that cannot
    be used is reported by whoever looks at the files, and nothing is said here. Blocking.
    """
    given: dict[str, bool] = {}
    for service in candidate.settings.services:
        try:
            is_set = _is_set(candidate, service)
        except ConfigError:
            return []
        for name in candidate.settings.requires.env:
            if name in is_set:
                given[name] = given.get(name, False) or is_set[name]
    return [
        PreflightError(
            f"{candidate.app}: the variable {name} is required, and "
            + ("is empty" if name in given else "no service gets it"),
            remedy=f'set {name} in [env] of the app file, a secret as {{ file = "/path" }}, then: '
            + candidate.remedies.take_up,
        )
        for name in candidate.settings.requires.env
        if not given.get(name, False)
    ]


def _is_set(candidate: Candidate, service: str) -> Mapping[str, bool]:
    """Of the required variables that the service gets, whether they hold anything."""
    environment = service_environment(
        candidate.settings, candidate.layout, candidate.slot, service,
        version=candidate.version, tree=candidate.tree,
    )  # fmt: skip
    is_set = {name: bool(value) for name, value in environment.variables.items()}
    if environment.launcher:
        for layer in _layers(candidate, service):
            if layer.env_file is not None:  # it may hold any of them
                is_set |= dict.fromkeys(candidate.settings.requires.env, True)
            for name, value in layer.table.items():
                is_set[name] = isinstance(value, SecretFile) or bool(value)
    return is_set


def _layers(candidate: Candidate, service: str) -> tuple[Layer, Layer]:
    settings = candidate.settings
    return app_layer(settings), service_layer(service, settings.services[service])


def new_defaults(candidate: Candidate, before: str | None) -> list[str]:
    """A line for each variable that has a default from this version on, and had none ``before``.

    Blocking.
    """
    settings, layout, slot, tree = (
        candidate.settings, candidate.layout, candidate.slot, candidate.tree,
    )  # fmt: skip
    now = default_variables(settings, layout, slot, version=candidate.version, tree=tree)
    had = default_variables(settings, layout, slot, version=before or "", tree=tree)
    operators = [_set_by_the_operator(candidate, service) for service in settings.services]
    return [
        f"new variable {name}: set by the app file"
        if all(name in names for names in operators)
        else f"new variable {name} = {_shown(name, value)}: its default, where the app file does "
        "not set it"
        for name, value in now.items()
        if name not in had
    ]


def _shown(name: str, value: str) -> str:
    return MASK if looks_secret(name) else json.dumps(value, ensure_ascii=False)


def _set_by_the_operator(candidate: Candidate, service: str) -> set[str]:
    """Names, of what can be read."""
    names: set[str] = set()
    for layer in _layers(candidate, service):
        names.update(layer.table)
        if layer.env_file is not None and not candidate.layout.has_own_user:
            with contextlib.suppress(ConfigError):
                names.update(read_env_file(Path(layer.env_file)))
    return names
