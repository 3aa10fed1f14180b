"""Tags and commits as git keeps them, as far as it matters who has signed them.

Whether a signature holds is git's to say; what is read here is what it is a signature of.
"""

from __future__ import annotations

from dataclasses import dataclass

_KINDS = {
    "-----BEGIN SSH SIGNATURE-----": "SSH",
    "-----BEGIN PGP SIGNATURE-----": "GPG",
    "-----BEGIN PGP MESSAGE-----": "GPG",
    "-----BEGIN SIGNED MESSAGE-----": "X.509",
}
_OF_COMMITS = ("gpgsig ", "gpgsig-sha256 ")


@dataclass(frozen=True, kw_only=True)
class TagObject:
    """An annotated tag. ``signature`` is the kind of its key, None where it is not signed."""

    id: str
    points_at: str  # an object's name
    type: str  # of what it points at
    name: str
    signature: str | None


def parse_tag(id_: str, content: bytes) -> TagObject | None:
    """The tag object ``id_``; None for one that is not as git makes them."""
    head, _, message = content.decode(errors="replace").partition("\n\n")
    lines = head.split("\n")
    fields = [line.partition(" ") for line in lines[:3]]
    if [key for key, _, _ in fields] != ["object", "type", "tag"]:
        return None
    (_, _, points_at), (_, _, type_), (_, _, name) = fields
    kinds = [kind for line in message.split("\n") if (kind := _KINDS.get(line)) is not None]
    # Of several the last one counts, as in git's parse_signature().
    signature = kinds[-1] if kinds else None
    return TagObject(id=id_, points_at=points_at, type=type_, name=name, signature=signature)


def signature_of_commit(content: bytes) -> str | None:
    """The kind of key that a commit is signed by; None where it is not signed."""
    head, _, _ = content.decode(errors="replace").partition("\n\n")
    for line in head.split("\n"):
        for key in _OF_COMMITS:
            if line.startswith(key):
                return _KINDS.get(line.removeprefix(key), "unknown")
    return None
