"""What keeps the idle slot from having a name of its own, as the rest of the app file is."""

from __future__ import annotations

from collections.abc import Iterator

from bluegreen.config.draft import Draft
from bluegreen.config.problems import Finding


def preview_findings(draft: Draft) -> Iterator[Finding]:
    """What is well-formed, and would show the idle slot nowhere, or in the place of the site."""
    if draft.preview is None or not draft.preview.server_name or draft.nginx is None:
        return
    if draft.nginx.mode == "upstream":
        yield Finding(
            place=("preview", "server_name"),
            wrong='with [nginx] mode = "upstream" the locations that would show the idle slot are '
            "the administrator's own",
            right='Set mode = "site" or "snippet" in [nginx], or remove [preview]',
        )
    visitors = {name.lower() for name in draft.nginx.server_name}
    for index, name in enumerate(draft.preview.server_name):
        if name.lower() in visitors:
            yield Finding(
                place=("preview", "server_name", index),
                wrong=f'"{name}" is also a name of the site, in [nginx]',
                right='Write a name that no visitor asks for, such as "next.example.org"',
            )
