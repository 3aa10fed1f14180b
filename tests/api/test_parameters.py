"""What a request says in its headers."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from bluegreen.api.parameters import idempotency_key
from bluegreen.errors import UsageError


def test_a_request_has_one_key_or_none() -> None:
    def key(*keys: str) -> str | None:
        headers = CIMultiDict([("Idempotency-Key", one) for one in keys])
        return idempotency_key(make_mocked_request("POST", "/v1/apps/shop/switch", headers=headers))

    assert (key(), key("a")) == (None, "a")
    for keys, wrong in (
        (("a", "b"), "more than once"),
        (("",), "not right"),
        (("ä",), "not right"),
    ):
        with pytest.raises(UsageError) as caught:
            key(*keys)
        assert wrong in caught.value.message
