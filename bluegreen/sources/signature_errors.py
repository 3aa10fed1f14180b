"""What an operator reads when a release is not signed by those who may."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.source_section import Verify
from bluegreen.errors import SourceError


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a signature does not count. ``what``: the tag or commit that it is looked for on."""

    what: str
    why: str
    detail: Sequence[str] = ()  # what git said


def refused(app: str, version: str, verify: Verify, refusal: Refusal) -> SourceError:
    return SourceError(
        f"{app}: {version} is refused: {refusal.what}: {refusal.why}",
        detail=refusal.detail,
        remedy=f"have the tag or commit signed by a key of {_files(verify)}; if the signer is "
        "right, add the key there",
    )


def no_tag(app: str, version: str, commit: str, verify: Verify) -> SourceError:
    """Only a signed tag would do, and there is none."""
    return SourceError(
        f"{app}: {version} is refused: no signed tag of that name is at {commit[:10]}",
        remedy=f"have the tag signed by a key of {_files(verify)}, or name a version whose tag is: "
        "tags_only in verify of [source] asks for it",
    )


def _files(verify: Verify) -> str:
    return " or ".join(file for file in (verify.ssh_signers, verify.gpg_keys) if file)


def keys_unreadable(app: str, key: str, file: Path, error: OSError) -> SourceError:
    return SourceError(
        f"{app}: {file}, which is to say whose signatures count, cannot be read: {error.strerror}",
        remedy=f"have it there, and readable for the user that runs the daemon (uid "
        f"{os.geteuid()}), or correct {key} in verify of [source]",
    )


def keys_unusable(app: str, key: str, file: Path, why: str, detail: Sequence[str]) -> SourceError:
    return SourceError(
        f"{app}: {file} holds no keys that can be used: {why}",
        detail=detail,
        remedy=f"have public keys there: for {key}, as docs/app-file.md says under [source]",
    )
