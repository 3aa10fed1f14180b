"""What of a directory must outlast every release: databases, settings, uploads."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection

from bluegreen.survey.directory import AppDirectory

_DATABASE = re.compile(r".+\.(?:db|sqlite|sqlite3)$")
_ENV = re.compile(r"\.env(?:\.(?!(?:.*\.)?(?:example|sample|template|dist|defaults?|test)$).+)?$")
_CODE = re.compile(
    r"\.(?:py|[cm]?js|[jt]sx?|vue|svelte|html|css|toml)$|^(?:package\.json|Dockerfile)$"
)
_UPLOADS = frozenset({"uploads", "media", "storage"})


def shared_paths(directory: AppDirectory, parts: Collection[str]) -> tuple[str, ...]:
    """Databases and env files. A directory of data is shared whole, as SQLite keeps a journal
    beside its file; one that holds code as well is not."""
    with_code = {posixpath.dirname(n) for n in directory.files if _CODE.search(_last(n))}
    with_code.update(parts, ("",))
    for name in tuple(with_code):
        while name:
            with_code.add(name := posixpath.dirname(name))
    found: set[str] = set()
    for name in directory.files:
        if _ENV.fullmatch(_last(name)):
            found.add(name)
        elif _DATABASE.fullmatch(_last(name)):
            folder = posixpath.dirname(name)
            found.add(name if folder in with_code else folder)
    outermost = (path for path in found if not any(path.startswith(f"{other}/") for other in found))
    return tuple(sorted(outermost))


def upload_directories(directory: AppDirectory, shared: Collection[str]) -> tuple[str, ...]:
    """Directories whose name says that visitors' files may be in them."""
    return tuple(name for name in directory.children if name in _UPLOADS and name not in shared)


def _last(name: str) -> str:
    return name.rpartition("/")[2]
