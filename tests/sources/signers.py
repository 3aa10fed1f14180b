"""People with keys who sign commits and tags."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.sources.repositories import Repository


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Whoever signs by the git settings ``how``."""

    how: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def tag(self, repository: Repository, name: str, of: str = "HEAD", *more: str) -> str:
        """A signed tag; the name of its object."""
        options = [argument for setting in self.how for argument in ("-c", setting)]
        repository.git(*options, "tag", *more, "-s", "-m", "a release", name, of, env=self.env)
        return repository.git("rev-parse", f"refs/tags/{name}")

    def commit(self, repository: Repository) -> str:
        """A signed commit."""
        options = [argument for setting in self.how for argument in ("-c", setting)]
        repository.git(
            *options, "commit", "--quiet", "--allow-empty", "-S", "-m", "signed", env=self.env
        )
        return repository.git("rev-parse", "HEAD")


def ssh_signer(directory: Path, name: str) -> tuple[Signer, str]:
    """With a new key; and the public half of it."""
    key = directory / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True
    )
    public = key.with_suffix(".pub").read_text().strip()
    return Signer(how=("gpg.format=ssh", f"user.signingkey={key}.pub")), public


class GpgHome:
    """Keys of one person, and the agent that holds their secret half."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str) -> str:
        return subprocess.run(
            ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "",
             *arguments],
            env={"PATH": os.environ["PATH"], "GNUPGHOME": str(self.directory), "LC_ALL": "C"},
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip

    def make(self, name: str) -> tuple[Signer, str]:
        """A key made years ago, without an end; and its fingerprint."""
        self.run("--faked-system-time", "20190101T000000", "--quick-gen-key", name, "ed25519",
                 "sign", "never")  # fmt: skip
        listed = self.run("--with-colons", "--list-keys", f"={name}").split("\n")
        fingerprint = next(line for line in listed if line.startswith("fpr:")).split(":")[9]
        return (
            Signer(how=("gpg.format=openpgp", f"user.signingkey={fingerprint}"),
                   env={"GNUPGHOME": str(self.directory)}),
            fingerprint,
        )  # fmt: skip

    def public(self, fingerprint: str) -> str:
        return self.run("--armor", "--export", fingerprint)

    def let_expire(self, fingerprint: str) -> None:
        self.run("--faked-system-time", "20200101T000000", "--quick-set-expire", fingerprint, "1d")


@contextmanager
def gpg_home() -> Iterator[GpgHome]:
    """In a directory of its own: the path of an agent's socket has to be short."""
    directory = Path(tempfile.mkdtemp(prefix="bg-gpg-"))
    try:
        yield GpgHome(directory)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(directory), "--kill", "all"], check=True)
        shutil.rmtree(directory, ignore_errors=True)
