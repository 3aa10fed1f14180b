"""The release pages of GitHub, GitLab and Gitea (and Forgejo), as their APIs describe them.

GitHub: docs.github.com/rest/releases; GitLab: docs.gitlab.com/api/releases; Gitea and Forgejo:
/api/swagger of each. An asset of GitHub is downloaded by its address in the API, which is the only
one that a token opens in a private repository, and which then redirects to a store elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from bluegreen.config.source_section import Assets

MOST_BYTES = 4 * 2**20  # of what an API says of a release
_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")
_APIS = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4"}
_STORES = {"https://api.github.com": ("*.githubusercontent.com",)}


class NoReleaseError(Exception):
    """What an API answered describes no release; its text is why."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file of a release. ``sha256`` is what the forge says of it, which not every one does."""

    name: str
    url: str
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Forge:
    """The repository's releases."""

    assets: Assets

    @property
    def api(self) -> str:
        return (self.assets.api or _APIS[self.assets.provider]).rstrip("/")

    @property
    def stores(self) -> tuple[str, ...]:
        """Hosts that the forge is known to keep its assets on."""
        return _STORES.get(self.api, ())

    @property
    def headers(self) -> Mapping[str, str]:
        if self.assets.provider == "github":
            return {
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            }
        return {"Accept": "application/json"}

    def url(self, version: str) -> str:
        """What the API has of the release ``version``, which is a tag."""
        tag, repository = quote(version, safe=""), self.assets.repository
        if self.assets.provider == "gitlab":
            return f"{self.api}/projects/{quote(repository, safe='')}/releases/{tag}"
        return f"{self.api}/repos/{repository}/releases/tags/{tag}"

    def files(self, answer: str, version: str) -> dict[str, Asset]:
        """The assets that ``answer`` lists, by name. Raises NoReleaseError."""
        try:
            release = json.loads(answer)
            if release["tag_name"] != version:
                raise NoReleaseError("it is of another tag")
            listed = release["assets"]
            found = [
                self._asset(entry)
                for entry in (listed["links"] if self.assets.provider == "gitlab" else listed)
            ]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise NoReleaseError(
                f"it does not describe a release: {type(error).__name__}"
            ) from error
        return {asset.name: asset for asset in found}

    def _asset(self, entry: Mapping[str, Any]) -> Asset:
        provider = self.assets.provider
        url = str(entry["browser_download_url" if provider == "gitea" else "url"])
        name = str(entry["name"])
        if provider == "gitlab":  # where a link's name is for people
            last = unquote(urlsplit(url).path.rpartition("/")[2])
            return Asset(name=last if "/" in name or " " in name else name, url=url)
        digest = _DIGEST.fullmatch(str(entry.get("digest")))
        return Asset(
            name=name, url=url, sha256=None if digest is None else digest[1].lower(),
            headers={"Accept": "application/octet-stream"} if provider == "github" else {},
        )  # fmt: skip
