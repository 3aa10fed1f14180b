"""What keeps assets from being kept, as the rest of the app file is."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.draft import Draft
from bluegreen.config.problems import Finding


def asset_findings(draft: Draft) -> Iterator[Finding]:
    """Well-formed directories of assets of which nothing could be kept, or nothing answered."""
    shared = [path for _, path in draft.shared]
    for index, directory in draft.route_assets:
        place = ("routes", index, "assets")
        if draft.nginx is not None and draft.nginx.mode == "upstream":
            wrong = 'with [nginx] mode = "upstream" no route of bluegreen\'s is asked'
            right = 'Remove it; or set mode = "site" or "snippet" in [nginx]'
            yield Finding(place=place, wrong=wrong, right=right)
        if "{" in directory:
            yield Finding(
                place=place,
                wrong=f'"{directory}" has a placeholder, and none is expanded here',
                right='Write where the build leaves its files in the release, such as "dist"',
            )
        if any(f"{directory}/".startswith(f"{path}/") for path in shared):
            yield Finding(
                place=place,
                wrong=f"{directory} is shared: both versions have the same files there",
                right="Name the directory in which the build leaves its files",
            )
