"""Parameters that are refused, and what is said to do instead."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from bluegreen.api.queries import PageQuery, PlanQuery, read_query
from bluegreen.errors import UsageError


def test_who_asks_a_plan_by_get_to_build_is_told_that_post_does() -> None:
    with pytest.raises(UsageError) as caught:
        read_query(make_mocked_request("GET", "/v1/apps/shop/plan?version=v2&build=1"), PlanQuery)
    assert caught.value.detail[0].startswith("build: ")
    assert caught.value.remedy == (
        'it takes version, each once; to have it built, POST {"version": …} to the same path'
    )
    with pytest.raises(UsageError) as caught:
        read_query(make_mocked_request("GET", "/v1/operations?limit=1&limit=2"), PageQuery)
    assert list(caught.value.detail) == ["limit: it is given more than once"]
    assert caught.value.remedy == "it takes before, limit, each once"
