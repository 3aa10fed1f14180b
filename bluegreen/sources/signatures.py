"""Whether a release from git is signed by those who may: before anything of it is laid out or run.

What is looked at is the commit that will run: by a signed tag of the version's name that points at
it, or by its own signature. git does the verifying, with keys from the app file only: of its
configuration nothing is in force, and of the repository's neither settings, hooks, attributes nor
replacements are.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.source_section import Verify
from bluegreen.log_tail import printable
from bluegreen.sources import signature_errors
from bluegreen.sources.git_command import Git, GitResult
from bluegreen.sources.mirror import Mirror
from bluegreen.sources.removal import remove_tree
from bluegreen.sources.signature_errors import Refusal
from bluegreen.sources.signed_objects import TagObject, parse_tag, signature_of_commit

_GOOD_SSH = re.compile(r'Good "git" signature for (.+) with (\S+ key \S+)')
_KEY_SSH = re.compile(r'Good "git" signature with (\S+ key \S+)')
_STATUS = re.compile(r"\[GNUPG:\] (\S+) ?(.*)")
# In the order in which the first found is the reason: see DETAILS in gnupg's doc.
_GPG_REASONS = {
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key was revoked",
    "EXPSIG": "the signature has expired",
    "BADSIG": "the signature is not of what it is on",
    "NO_PUBKEY": "the key is not one of {keys}",
    "ERRSIG": "the signature cannot be checked",
}
# Nothing but the keys of the app file, no agent, no network, no questions.
_GPG_OPTIONS = """\
batch
no-tty
no-autostart
no-auto-key-retrieve
no-auto-key-import
auto-key-locate clear
disable-dirmngr
trust-model always
"""
_HOME = "bluegreen-gpg-"
_HOME_LIFE = 3600.0  # seconds; a verification takes a few


@dataclass(frozen=True, kw_only=True)
class Signatures:
    """What ``verify`` in the app file asks of the mirror's commits. Use it under the cache lock."""

    app: str
    verify: Verify
    mirror: Mirror
    git: Git

    async def check(self, version: str, commit: str) -> str:
        """Who has signed ``commit`` as ``version``. Raises SourceError if nobody who may."""
        async with self._keys() as settings:
            tag = await self._tag(version, commit)
            if tag is not None:
                found = _fault_of(tag, version) or await self._verified(
                    "verify-tag", tag.id, f"the tag {version}", tag.signature, settings
                )
            elif self.verify.tags_only:
                raise signature_errors.no_tag(self.app, version, commit, self.verify)
            else:
                content = await self.mirror.read("cat-file", "commit", commit)
                found = await self._verified(
                    "verify-commit", commit, f"the commit {commit[:10]}",
                    signature_of_commit(content.output), settings,
                )  # fmt: skip
        if isinstance(found, Refusal):
            raise signature_errors.refused(self.app, version, self.verify, found)
        if tag is not None:
            await self._remember(version, commit, tag)
        return found

    async def _tag(self, version: str, commit: str) -> TagObject | None:
        """A signed tag that points at ``commit``: of that name, or the one that was right before.

        A release that was deployed as v1 can be brought back when v1 has moved on. What is
        remembered is not trusted more: it is checked like the other. Once there is such a tag it
        is what counts: one that is signed and not right is nobody's mistake.
        """
        for ref in (f"refs/tags/{version}", _remembered(version, commit)):
            kind = await self.mirror.read("cat-file", "-t", ref)
            if kind.text != "tag":
                continue
            named = await self.mirror.read("rev-parse", "--verify", "--quiet", ref)
            content = await self.mirror.read("cat-file", "tag", named.text)
            peeled = await self.mirror.read(
                "rev-parse", "--verify", "--quiet", f"{named.text}^{{commit}}"
            )
            tag = parse_tag(named.text, content.output)
            if tag is not None and tag.signature is not None and peeled.text == commit:
                return tag
        return None

    async def _verified(
        self,
        command: str,
        object_: str,
        what: str,
        signature: str | None,
        settings: Mapping[str, str],
    ) -> str | Refusal:
        """Who has signed the object, or why that does not count."""
        if signature is None:
            return Refusal(what=what, why="it is not signed")
        file = {"SSH": self.verify.ssh_signers, "GPG": self.verify.gpg_keys}.get(signature)
        if file is None:
            return Refusal(what=what, why=f"it is signed by a key of another kind: {signature}")
        result = await self.git.run(
            command, "--raw", object_, repository=self.mirror.directory, env=settings
        )
        signer = _ssh_signer(result) if signature == "SSH" else _gpg_signer(result)
        if result.ok and signer is not None:
            return signer
        why = _ssh_reason(result, file) if signature == "SSH" else _gpg_reason(result, file)
        return Refusal(what=what, why=why, detail=result.errors)

    async def _remember(self, version: str, commit: str, tag: TagObject) -> None:
        """So that it is still there when the server has another tag of that name."""
        ref = _remembered(version, commit)
        await self.git.run("update-ref", ref, tag.id, repository=self.mirror.directory)

    @contextlib.asynccontextmanager
    async def _keys(self) -> AsyncIterator[Mapping[str, str]]:
        """The environment that has git know the keys, and nothing else."""
        for key in ("ssh_signers", "gpg_keys"):
            file = getattr(self.verify, key)
            if file is not None:
                await asyncio.to_thread(self._check_readable, key, Path(file))
        # Not in the cache: gpg wants the path of a socket in it to be short.
        home = await asyncio.to_thread(_new_home)
        settings = {
            "gpg.program": "gpg" if self.verify.gpg_keys else "/bin/false",
            "gpg.ssh.program": "ssh-keygen" if self.verify.ssh_signers else "/bin/false",
            "gpg.ssh.allowedSignersFile": self.verify.ssh_signers or "/dev/null",
            "gpg.x509.program": "/bin/false",
            "gpg.minTrustLevel": "undefined",
        }
        environment = {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": str(len(settings)),
            "GNUPGHOME": str(home),
        }
        for number, (name, value) in enumerate(settings.items()):
            environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        try:
            if self.verify.gpg_keys is not None:
                await self._import(home, self.verify.gpg_keys)
            yield environment
        finally:
            await asyncio.to_thread(remove_tree, home)

    def _check_readable(self, key: str, file: Path) -> None:
        try:
            with file.open("rb") as content:
                empty = not content.read(1)
        except OSError as error:
            raise signature_errors.keys_unreadable(self.app, key, file, error) from error
        if empty:
            raise signature_errors.keys_unusable(self.app, key, file, "it is empty", ())

    async def _import(self, home: Path, file: str) -> None:
        await asyncio.to_thread((home / "gpg.conf").write_text, _GPG_OPTIONS)
        result = await self.git.run_program(
            "gpg", "--quiet", "--import", file, env={"GNUPGHOME": str(home)}
        )
        if not result.ok:
            raise signature_errors.keys_unusable(
                self.app, "gpg_keys", Path(file), result.ending, result.errors
            )


def _new_home() -> Path:
    """A directory for one verification; those that killed daemons of this user left are removed."""
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{_HOME}*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            status = left.lstat()
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _HOME_LIFE:
                remove_tree(left)
    return Path(tempfile.mkdtemp(prefix=_HOME))


def _fault_of(tag: TagObject, version: str) -> Refusal | None:
    what = f"the tag {version}"
    if tag.name != version:
        name = printable(tag.name)
        return Refusal(what=what, why=f"it was signed as {name}: one release for another")
    if tag.type != "commit":
        return Refusal(what=what, why=f"it is of a {printable(tag.type)} and not of a commit")
    return None


def _remembered(version: str, commit: str) -> str:
    digest = hashlib.sha256(version.encode()).hexdigest()[:16]  # one name may begin with another
    return f"refs/bluegreen/signed/{commit}-{digest}"


def _ssh_signer(result: GitResult) -> str | None:
    for line in result.errors:
        if match := _GOOD_SSH.fullmatch(line):
            return f"{printable(match[1])} ({match[2]})"
    return None


def _ssh_reason(result: GitResult, file: str) -> str:
    text = "\n".join(result.errors)
    if match := _KEY_SSH.search(text):
        if "key has expired" in text or "key is not yet valid" in text:
            return f"the {match[1]} was not valid then, by {file}"
        return f"the {match[1]} is not one of {file}"
    if "incorrect signature" in text or "Could not verify" in text:
        return "the signature is not of what it is on"
    return "the signature cannot be checked"


def _statuses(result: GitResult) -> dict[str, str]:
    matches = (_STATUS.fullmatch(line) for line in result.errors)
    return {match[1]: match[2] for match in matches if match is not None}


def _gpg_signer(result: GitResult) -> str | None:
    said = _statuses(result)
    if "GOODSIG" not in said or "VALIDSIG" not in said:
        return None
    name = said["GOODSIG"].partition(" ")[2]
    return f"{printable(name)} (GPG key {said['VALIDSIG'].split(' ')[0]})"


def _gpg_reason(result: GitResult, file: str) -> str:
    said = _statuses(result)
    for status, reason in _GPG_REASONS.items():
        if status in said:
            whose = printable(said[status])
            return f"{reason.format(keys=file)}: {whose}" if whose else reason.format(keys=file)
    return "the signature cannot be checked"
