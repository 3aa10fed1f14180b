"""What the operator keeps in files of its own: read as it is needed, and never repeated."""

from __future__ import annotations

from bluegreen.config.secret_file import SecretFile
from bluegreen.errors import ConfigError
from bluegreen.sources.interruptible import in_thread


class UnusableSecretError(Exception):
    """A file cannot be read, or holds nothing of use; its text is for people."""


async def read_secret(secret: SecretFile) -> str:
    """Raises UnusableSecretError."""
    try:
        # Not in one of the few threads of all else: its file system may hang.
        text = await in_thread(lambda _: secret.read(), name=f"read {secret.file}")
    except ConfigError as error:
        raise UnusableSecretError(error.message) from error
    if not (text := text.strip()):
        raise UnusableSecretError(f"the secret file {secret.file} is empty")
    if "\n" in text:
        raise UnusableSecretError(f"the secret file {secret.file} has more than one line")
    return text
