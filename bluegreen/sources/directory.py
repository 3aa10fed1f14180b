"""Releases that lie in a directory, one each: ``/srv/releases/{version}``."""

from __future__ import annotations

import asyncio
import difflib
import os
import re
from pathlib import Path

from bluegreen.config.placeholders import expand
from bluegreen.config.versions import check_version
from bluegreen.errors import ConfigError, SourceError, UsageError
from bluegreen.model import Release
from bluegreen.sources import place_errors, survey
from bluegreen.sources.comparison import Comparison
from bluegreen.sources.disk_space import free_bytes
from bluegreen.sources.interruptible import Stop, in_thread

MOST_NAMES = 5  # versions that an error suggests
PLACEHOLDER = "{version}"


class DirectorySource:
    """Directories named after versions. A release has no commit; its tree is a copy."""

    def __init__(self, app: str, template: str, *, timeout: float) -> None:
        """``timeout``: seconds for a resolve, and for a copy. Raises ConfigError."""
        try:
            expand(template, {"version": "v"})
        except UsageError as error:
            raise ConfigError(
                f"{app}: source.directory cannot be used: {error.message}",
                remedy="its only placeholder is {version}",
            ) from error
        self._app = app
        self._template = template
        self._timeout = timeout

    async def resolve(self, version: str, *, pinned: str | None = None) -> Release:
        """Find the directory; see Source. ``origin`` is its real path. None was ever pinned."""
        check_version(version)
        try:
            async with asyncio.timeout(self._timeout):
                path = await in_thread(lambda _: self._locate(version), name="locate release")
        except TimeoutError as error:
            raise self._too_slow(version) from error
        warnings: tuple[str, ...] = ()
        if PLACEHOLDER not in self._template:
            warnings = (f"{path} is one directory for all versions; {version} is only a name",)
        return Release(
            app=self._app, version=version, commit=None, origin=str(path), warnings=warnings
        )

    async def compare(self, version: str, since: str | None) -> Comparison:
        """See Source; directories have no commits."""
        release = await self.resolve(version)
        return Comparison(release=release, unknown="directories have no commits")

    async def lay_out(self, release: Release, tree: Path) -> None:
        """Copy files, links and permissions; see Source.

        What changes in the meantime is noticed by size, time and kind, and is a SourceError.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await in_thread(lambda stop: self._copy(release, tree, stop), name="copy release")
        except TimeoutError as error:
            raise self._too_slow(release.version) from error

    async def fingerprint(self, version: str) -> str | None:
        """A digest of what the directory holds now; None when it is not there or not readable."""

        def look(stop: Stop) -> str:
            return survey.fingerprint(survey.survey(self._locate(version), stop))

        try:
            async with asyncio.timeout(self._timeout):
                return await in_thread(look, name="survey release")
        except (SourceError, TimeoutError):
            return None

    def _copy(self, release: Release, tree: Path, stop: Stop) -> None:
        path = self._locate(release.version)
        if str(path) != release.origin:
            raise survey.changed(Path(release.origin), f"{release.version} is now {path}, and so")
        entries = survey.survey(path, stop)
        needed = survey.size_of(entries)
        if free_bytes(tree) < needed:
            raise place_errors.no_room(self._app, tree, needed)
        try:
            survey.copy(path, entries, tree, stop)
        except OSError as error:
            raise place_errors.unwritable(self._app, tree, error, needed=needed) from error
        if survey.survey(path, stop) != entries:
            raise survey.changed(path, "the list of its files, and so it")

    def _locate(self, version: str) -> Path:
        named = Path(expand(self._template, {"version": version}))
        path = Path(os.path.realpath(named))
        if not path.is_dir():
            raise self._missing(version, named)
        if PLACEHOLDER in self._template:
            base = Path(os.path.realpath(self._base))
            if path == base or not path.is_relative_to(base):
                raise SourceError(
                    f"{self._app}: {named} leads out of {self._base}",
                    detail=[f"it is {path}"],
                    remedy="have the release itself there, or name its real place in [source]",
                )
        return path

    @property
    def _base(self) -> Path:
        """The directory in which versions are looked for."""
        before = self._template.partition(PLACEHOLDER)[0]
        return Path(expand(before[: before.rindex("/") + 1], {}))

    def _missing(self, version: str, named: Path) -> SourceError:
        names = self._versions() if PLACEHOLDER in self._template else []
        near = difflib.get_close_matches(version, names, n=MOST_NAMES) or names[:MOST_NAMES]
        return SourceError(
            f"{self._app}: there is no directory {named}",
            detail=[f"versions that are there: {', '.join(near)}"] if near else [],
            remedy="put the release there, or name a version that is there",
        )

    def _versions(self) -> list[str]:
        """The versions that have a directory, the newest first."""
        before, _, after = self._template.partition(PLACEHOLDER)
        start, end = before[before.rindex("/") + 1 :], after.partition("/")[0]
        pattern = re.compile(
            re.escape(expand(start, {}))
            + "(.+)"
            + re.escape(expand(end.replace(PLACEHOLDER, ""), {}))
        )
        try:
            with os.scandir(self._base) as found:
                directories = [child for child in found if child.is_dir()]
                directories.sort(key=lambda child: child.stat().st_mtime, reverse=True)
        except OSError:
            return []  # that the release is not there is said anyway
        matches = (pattern.fullmatch(child.name) for child in directories)
        return [match[1] for match in matches if match is not None]

    def _too_slow(self, version: str) -> SourceError:
        return SourceError(
            f"{self._app}: {version} could not be read within {self._timeout:g} s",
            remedy="look at the disk or network share it is on, or raise timeout in [source]",
        )
