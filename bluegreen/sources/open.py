"""The source that an app file names."""

from __future__ import annotations

from bluegreen.config.settings import AppSettings
from bluegreen.layout import AppLayout
from bluegreen.slots import stamp
from bluegreen.sources.directory import DirectorySource
from bluegreen.sources.git import GitSource
from bluegreen.sources.interface import Source
from bluegreen.sources.tarball import TarballSource


def open_source(settings: AppSettings, layout: AppLayout) -> Source:
    """The app's source; touches nothing yet. Raises ConfigError on a URL that git must not see."""
    source = settings.source
    if source.directory is not None:
        return DirectorySource(settings.name, source.directory, timeout=source.timeout)
    if source.tarball is not None or source.assets is not None:
        return TarballSource(settings.name, source, layout, in_use=lambda: _commits(layout))
    return GitSource(settings.name, source, layout)


def _commits(layout: AppLayout) -> set[str]:
    """Of the releases whose trees are there. Blocking."""
    stamps = [stamp.read_stamp(tree) for tree in stamp.trees_in(layout.trees)]
    return {held.commit for held in stamps if held is not None and held.commit is not None}
