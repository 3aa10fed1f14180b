"""The environments of services and of builds: clean, layered, and separate from each other."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from bluegreen.config.env_file import read_env_file, read_small_file
from bluegreen.config.placeholders import build_cache, expand, slot_values
from bluegreen.config.secrets import of_env_file, of_secret_file
from bluegreen.config.settings import AppSettings, BuildStep, SecretFile
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


def resolve(
    *layers: tuple[Mapping[str, str | SecretFile], str | None],
    values: Mapping[str, str],
    base: Mapping[str, str],
) -> dict[str, str]:
    """Lay ``layers`` over ``base``; a later layer wins, and a layer's table over its env_file.

    Placeholders are expanded in the tables' texts, never in what comes from a file; what may be
    secret of that is a `Secret`. Reads files: call it in a thread. Raises ConfigError naming a file
    that cannot be used, never its content.
    """
    environment = dict(base)
    for table, env_file in layers:
        if env_file is not None:
            environment.update(of_env_file(read_env_file(Path(env_file))))
        for name, value in table.items():
            environment[name] = (
                expand(value, values) if isinstance(value, str) else _secret(Path(value.file))
            )
    return environment


def service_environment(
    settings: AppSettings,
    layout: AppLayout,
    slot: Slot,
    service: str,
    *,
    version: str,
    tree: Path,
) -> dict[str, str]:
    """What the service's process gets. Blocking; raises as ``resolve`` does."""
    values = slot_values(settings, layout, slot, version=version, tree=tree, service=service)
    own = settings.services[service]
    base = _host(_FROM_HOST) | _identity(settings, slot, version)
    if "port" in values:
        base["PORT"] = values["port"]
    return resolve(
        (settings.env, settings.env_file), (own.env, own.env_file), values=values, base=base
    )


def build_environment(
    settings: AppSettings,
    layout: AppLayout,
    slot: Slot,
    step: BuildStep,
    *,
    version: str,
    tree: Path,
) -> dict[str, str]:
    """What a build step gets: nothing of any service's own environment.

    The download caches (pip, npm, XDG) are inside the app's cache; nothing is created here, as
    these tools make what they miss. Blocking; raises as ``resolve`` does.
    """
    values = slot_values(settings, layout, slot, version=version, tree=tree, service=None)
    cache = build_cache(layout)
    base = _host(_FROM_HOST + _FOR_DOWNLOADS) | _identity(settings, slot, version)
    base |= {
        "PIP_CACHE_DIR": str(cache / "pip"),
        "npm_config_cache": str(cache / "npm"),
        "XDG_CACHE_HOME": str(cache / "xdg"),
    }
    return resolve(
        (settings.env, settings.env_file), (step.env, step.env_file), values=values, base=base
    )


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


def _secret(file: Path) -> str:
    """The text of a secret's file without the line end that editors leave behind."""
    text = read_small_file(file, what="secret file").removesuffix("\n").removesuffix("\r")
    if "\0" in text:
        raise ConfigError(
            f"the secret file {file} holds a NUL character, which no environment can carry",
            remedy=f"Put the secret into {file} as text, base64 for binary ones.",
        )
    return of_secret_file(text)
