"""What anybody may send: headers and bodies, as Hypothesis draws them."""

from __future__ import annotations

from hypothesis import strategies as st

LINE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
_VALUE = LINE | st.text(
    st.characters(min_codepoint=160, exclude_categories=["Cs"]), min_size=1, max_size=40
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["x-github-event", "x-gitea-event", "x-gitlab-event", "webhook-signature", "webhook-id",
         "webhook-timestamp", "x-hub-signature-256", "x-gitlab-token", "content-type",
         "x-gitea-signature", "x-forgejo-signature", "idempotency-key"]
    ),
    _VALUE,
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["ref", "after", "deleted", "release", "type", "action", "head_commit"]),
        inner, max_size=4,
    ),
)  # fmt: skip
