"""The environments of services and of builds: clean, layered, and separate from each other."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.env_file import read_env_file
from bluegreen.config.layers import Layer, app_layer, build_layer, service_layer
from bluegreen.config.placeholders import build_cache, expand, slot_values
from bluegreen.config.release_rules import variable_defaults
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.secrets import of_env_file, of_secret_file
from bluegreen.config.settings import AppSettings, BuildStep
from bluegreen.config.settings import Environment as Table
from bluegreen.errors import ConfigError
from bluegreen.layout import AppLayout
from bluegreen.model import Slot

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_FROM_HOST = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")
# What a host sets so that pip, npm and git reach anything at all; services do not need it.
_FOR_DOWNLOADS = (
    "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ProcessEnvironment:
    """What a process gets: ``variables``, and what ``launcher`` adds, the words before its command.

    A launcher is there where the daemon may not read the files that variables come from.
    """

    variables: dict[str, str]
    launcher: tuple[str, ...] = ()

    def command(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The words that run ``argv`` with all of it."""
        return (*self.launcher, *argv)


def resolve(*layers: Layer, values: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str]:
    """Lay ``layers`` over ``base``; a later layer wins, and a layer's table over its env_file.

    Placeholders are expanded in the tables' texts, never in what comes from a file; what may be
    secret of that is a `Secret`. Reads files: call it in a thread. Raises ConfigError naming a file
    that cannot be used, never its content.
    """
    environment = dict(base)
    for layer in layers:
        if layer.env_file is not None:
            environment.update(of_env_file(read_env_file(Path(layer.env_file))))
        for name, value in layer.table.items():
            environment[name] = expand(value, values) if isinstance(value, str) else _secret(value)
    return environment


def _laid_out(
    layout: AppLayout, *layers: Layer, values: dict[str, str], base: dict[str, str]
) -> ProcessEnvironment:
    """``resolve``, by whoever may read the files that are needed."""
    if layout.env_launcher is None or not any(layer.credentials for layer in layers):
        return ProcessEnvironment(variables=resolve(*layers, values=values, base=base))
    words = [word for layer in layers for word in layer.words(values)]
    return ProcessEnvironment(variables=base, launcher=(str(layout.env_launcher), *words, "--"))


def default_variables(
    settings: AppSettings, layout: AppLayout, slot: Slot, *, version: str, tree: Path
) -> dict[str, str]:
    """What the release gets by ``[[upgrade]]`` rules where nothing else sets it: the weakest."""
    values = slot_values(settings, layout, slot, version=version, tree=tree, service=None)
    defaults = variable_defaults(settings.upgrade, version)
    return {name: expand(text, values) for name, text in defaults.items()}


def tool_environment(
    settings: AppSettings, layout: AppLayout, slot: Slot, *, version: str, tree: Path
) -> dict[str, str]:
    """What decides which commands builds and services find: without anything from a file."""
    values = slot_values(settings, layout, slot, version=version, tree=tree, service=None)
    texts: Table = {name: text for name, text in settings.env.items() if isinstance(text, str)}
    base = _base(settings, layout, slot, _FROM_HOST, version=version, tree=tree)
    return resolve(Layer(label="app", table=texts, env_file=None), values=values, base=base)


def service_environment(
    settings: AppSettings,
    layout: AppLayout,
    slot: Slot,
    service: str,
    *,
    version: str,
    tree: Path,
    instance: int = 1,
) -> ProcessEnvironment:
    """What the process of an instance gets. Blocking; raises as ``resolve`` does."""
    values = slot_values(
        settings, layout, slot, version=version, tree=tree, service=service, instance=instance
    )
    own = settings.services[service]
    base = _base(settings, layout, slot, _FROM_HOST, version=version, tree=tree)
    if "port" in values:
        base["PORT"] = values["port"]
    layers = app_layer(settings), service_layer(service, own)
    return _laid_out(layout, *layers, values=values, base=base)


def build_environment(
    settings: AppSettings,
    layout: AppLayout,
    slot: Slot,
    step: BuildStep,
    *,
    version: str,
    tree: Path,
) -> ProcessEnvironment:
    """What a build step gets: nothing of any service's own environment.

    The download caches (pip, npm, XDG) are inside the app's cache; nothing is created here, as
    these tools make what they miss. Blocking; raises as ``resolve`` does.
    """
    values = slot_values(settings, layout, slot, version=version, tree=tree, service=None)
    cache = build_cache(layout)
    inherited = _FROM_HOST + _FOR_DOWNLOADS
    base = _base(settings, layout, slot, inherited, version=version, tree=tree)
    base |= {
        "PIP_CACHE_DIR": str(cache / "pip"),
        "npm_config_cache": str(cache / "npm"),
        "XDG_CACHE_HOME": str(cache / "xdg"),
    }
    return _laid_out(layout, app_layer(settings), build_layer(step), values=values, base=base)


def backup_environment(
    settings: AppSettings, layout: AppLayout, slot: Slot, *, version: str, tree: Path
) -> ProcessEnvironment:
    """What ``[backup]`` and ``[[gate.unchanged]]`` run with: the app's environment alone.

    Blocking; raises as ``resolve`` does.
    """
    values = slot_values(settings, layout, slot, version=version, tree=tree, service=None)
    base = _base(settings, layout, slot, _FROM_HOST, version=version, tree=tree)
    return _laid_out(layout, app_layer(settings), values=values, base=base)


def _base(
    settings: AppSettings,
    layout: AppLayout,
    slot: Slot,
    inherited: tuple[str, ...],
    *,
    version: str,
    tree: Path,
) -> dict[str, str]:
    """What is below all that the operator sets."""
    defaults = default_variables(settings, layout, slot, version=version, tree=tree)
    return defaults | _host(inherited) | _identity(settings, slot, version)


def _host(names: tuple[str, ...]) -> dict[str, str]:
    chosen = {name: os.environ[name] for name in names if name in os.environ}
    chosen |= {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    chosen.setdefault("PATH", DEFAULT_PATH)
    if "HOME" not in chosen:
        chosen["HOME"] = _home()
    return chosen


def _home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a numeric user of a container, unknown to the host
        return "/"


def _identity(settings: AppSettings, slot: Slot, version: str) -> dict[str, str]:
    return {
        "BLUEGREEN_APP": settings.name,
        "BLUEGREEN_SLOT": slot.value,
        "BLUEGREEN_VERSION": version,
    }


def _secret(secret: SecretFile) -> str:
    """The text of a secret's file without the line end that editors leave behind."""
    text, file = secret.read(), secret.file
    text = text.removesuffix("\n").removesuffix("\r")
    if "\0" in text:
        raise ConfigError(
            f"the secret file {file} holds a NUL character, which no environment can carry",
            remedy=f"Put the secret into {file} as text, base64 for binary ones.",
        )
    return of_secret_file(text)
