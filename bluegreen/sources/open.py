"""The source that an app file names."""

from __future__ import annotations

from bluegreen.config.settings import AppSettings
from bluegreen.layout import AppLayout
from bluegreen.sources.directory import DirectorySource
from bluegreen.sources.git import GitSource
from bluegreen.sources.interface import Source


def open_source(settings: AppSettings, layout: AppLayout) -> Source:
    """The app's source; touches nothing yet. Raises ConfigError on a URL that git must not see."""
    source = settings.source
    if source.directory is not None:
        return DirectorySource(settings.name, source.directory, timeout=source.timeout)
    return GitSource(settings.name, source, layout)
