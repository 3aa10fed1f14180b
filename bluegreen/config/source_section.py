"""``[source]``: where releases come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from bluegreen.config.archive_url import (
    check_archive_url,
    check_asset_name,
    check_host,
    check_minisign_key,
    check_repository,
    check_sha256,
)
from bluegreen.config.git_url import check_ssh_path, check_token_user
from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.secret_file import SecretFile
from bluegreen.config.section import Section
from bluegreen.config.values import (
    AbsolutePath,
    GitUrl,
    Line,
    PositiveDuration,
    Size,
    Switch,
    within,
)

ArchiveUrl = Annotated[Line, AfterValidator(check_archive_url)]
HostPattern = Annotated[str, AfterValidator(check_host)]
RepositoryName = Annotated[str, AfterValidator(check_repository)]
AssetName = Annotated[str, AfterValidator(check_asset_name)]
Sha256 = Annotated[str, AfterValidator(check_sha256)]
SshPath = Annotated[str, AfterValidator(check_ssh_path)]
TokenUser = Annotated[str, AfterValidator(check_token_user)]
MinisignKey = Annotated[str, AfterValidator(check_minisign_key)]

KINDS = ("git", "tarball", "assets", "directory")
OF_GIT = ("clone", "verify", "ssh_key", "known_hosts")  # mean nothing without ``git``
OF_URLS = ("sha256", "checksums")  # mean nothing without ``tarball``
OF_ARCHIVES = (
    "minisign",
    "allow_private",
    "allowed_hosts",
    "strip",
    "max_size",
    "max_unpacked",
)  # mean nothing without an archive


class Verify(Section):
    """``verify``: whose signature a tag or a commit needs. By either kind of key, if both are."""

    ssh_signers: AbsolutePath | None = None  # a file as ssh-keygen(1), ALLOWED SIGNERS, has it
    gpg_keys: AbsolutePath | None = None  # public keys, as gpg --export gives them
    tags_only: Switch = False  # whether a commit's own signature does not do

    @model_validator(mode="after")
    def _by_a_key(self) -> Verify:
        if self.ssh_signers is None and self.gpg_keys is None:
            raise ValueRefusedError(
                "it names no keys",
                'Say who may sign: verify = { ssh_signers = "/etc/bluegreen/signers" } or '
                'verify = { gpg_keys = "/etc/bluegreen/keys.asc" }',
            )
        return self


class SshFile(Section):
    """A private key's file, which ssh is given by its name."""

    file: SshPath


class Token(SecretFile):
    """What a server wants to be shown. ``user``: of whom it is, where a server wants that too."""

    user: TokenUser = "x-access-token"


class Assets(Section):
    """``assets``: archives on the release pages of a forge; a version is the tag of a release."""

    provider: Literal["github", "gitlab", "gitea"]
    repository: RepositoryName
    name: AssetName
    checksums: AssetName | None = None
    api: ArchiveUrl | None = None  # None: of github.com or gitlab.com

    @model_validator(mode="after")
    def _has_an_api(self) -> Assets:
        if self.provider == "gitea" and self.api is None:
            raise ValueRefusedError(
                "it does not say where the forge is",
                'Write api = "https://git.example.org/api/v1"',
            )
        return self


class Source(Section):
    """Exactly one of `KINDS`; the rest says how it is read."""

    git: GitUrl | None = None
    tarball: ArchiveUrl | None = None
    assets: Assets | None = None
    directory: AbsolutePath | None = None
    submodules: Switch = True
    clone: Literal["full", "partial", "shallow"] = "full"
    verify: Verify | None = None
    ssh_key: SshFile | None = None
    known_hosts: SshPath | None = None
    token: Token | None = None
    sha256: Sha256 | None = None
    checksums: ArchiveUrl | None = None
    minisign: MinisignKey | None = None
    allow_private: Switch = False  # http, and addresses that are not public
    allowed_hosts: tuple[HostPattern, ...] = ()  # for redirects, besides the archive's own
    strip: Annotated[int, Field(strict=True), within(0, 16)] | None = None  # None: see ``unpack``
    max_size: Size = 2**30  # bytes of an archive
    max_unpacked: Size = 4 * 2**30  # bytes of what is in it
    timeout: PositiveDuration = 300.0

    @model_validator(mode="after")
    def _exactly_one(self) -> Source:
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) != 1:
            raise ValueRefusedError(
                f"it has {' and '.join(named) or 'none of git, tarball, assets and directory'}",
                'Say where releases come from: git = "https://…", tarball = "https://…{version}…", '
                'assets = { … } or directory = "/…/{version}", one of them',
            )
        return self
