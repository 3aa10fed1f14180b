"""Tags and commits, as far as it matters who has signed them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.sources.signed_objects import parse_tag, signature_of_commit

ID = "0" * 40
TAG = f"object {'1' * 40}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\n"
SSH, GPG = "-----BEGIN SSH SIGNATURE-----", "-----BEGIN PGP SIGNATURE-----"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("a release\n", None),
        (f"a release\n{SSH}\nx\n", "SSH"),
        (f"quoting {SSH}\n{GPG}\nx\n", "GPG"),
        (f"{SSH}\nx\n{GPG}\nx\n", "GPG"),  # the last one counts, as for git
        (f" {SSH}\n", None),
    ],
)
def test_a_tag_is_of_the_name_and_signature_that_git_sees(message: str, kind: str | None) -> None:
    tag = parse_tag(ID, f"{TAG}{message}".encode())
    assert tag is not None
    assert (tag.points_at, tag.type, tag.name, tag.signature) == ("1" * 40, "commit", "v1", kind)


def test_only_a_commits_head_is_looked_at_for_its_signature() -> None:
    head = f"tree {ID}\nauthor A <a@b> 1 +0000\n"
    assert signature_of_commit(f"{head}gpgsig {SSH}\n x\n\nmessage\n".encode()) == "SSH"
    assert signature_of_commit(f"{head}\ngpgsig {SSH}\n".encode()) is None
    assert signature_of_commit(f"{head}gpgsig {GPG}\n x\n\n{SSH}".encode()) == "GPG"


@given(content=st.binary(max_size=200) | st.text(max_size=50).map(lambda t: f"{TAG}{t}".encode()))
def test_whatever_an_object_holds_it_is_read(content: bytes) -> None:
    tag = parse_tag(ID, content)
    assert tag is None or "\n" not in tag.name
    assert signature_of_commit(content) in (None, "SSH", "GPG", "X.509", "unknown")
