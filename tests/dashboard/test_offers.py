"""What a form asks the API for, and what of it is refused in the words of its page."""

from __future__ import annotations

from typing import Any, cast

import pytest

from bluegreen.dashboard.context import Visit
from bluegreen.dashboard.offers import ACTIONS
from bluegreen.errors import UsageError


def asked(action: str, **fields: str) -> Any:
    form = {name: [text] for name, text in fields.items()}
    visit = Visit(request=cast("Any", None), session=cast("Any", None), secret="", form=form)
    return ACTIONS[action].asked(visit)


def test_a_time_that_cannot_be_is_refused_by_its_field_and_in_its_unit() -> None:
    assert asked("preview", minutes="2.5") == {"seconds": 150.0}
    assert asked("hold", timeout=" 30 ") == {"timeout": 30.0}
    assert asked("preview", minutes="0", revoke="1") == {"revoke": True}
    for action, field, most in (("preview", "minutes", 10080), ("hold", "timeout", 3600)):
        for text in ("", "x", "0", "-1", "nan", "inf", "1e400", str(most + 1)):
            with pytest.raises(UsageError) as caught:
                asked(action, **{field: text})
            assert caught.value.message == f"{field}: {text!r} is no such time"
            assert caught.value.remedy == f"write a number, more than 0 and at most {most}"


def test_an_operation_that_is_no_number_is_no_defect() -> None:
    assert asked("cancel", operation="7") == {"operation": 7}
    for text in ("", "x", "7_0", "-1", "9" * 5000):
        with pytest.raises(UsageError):
            asked("cancel", operation=text)
