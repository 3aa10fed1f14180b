"""What is read of a unit beside what is heard of it. All else of it: `systemd_scenarios`."""

from __future__ import annotations

from typing import Any

import pytest
from dbus_fast import Message, MessageType, Variant

from bluegreen.supervisors.systemd_bus import PROPERTIES, UNIT, Systemd, unit_path

NAME = "shop-api.service"


def says(state: str) -> Message:
    return Message(
        message_type=MessageType.SIGNAL, sender=":1.1", path=unit_path(NAME), interface=PROPERTIES,
        member="PropertiesChanged", signature="sa{sv}as",
        body=[UNIT, {"ActiveState": Variant("s", state)}, []],
    )  # fmt: skip


async def test_an_answer_that_a_change_overtakes_is_not_the_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systemd, heard, answers = Systemd(), list[dict[str, Any]](), ["active", "inactive"]
    systemd.listen(NAME, heard.append)
    monkeypatch.setattr(systemd, "_owner", ":1.1")

    async def call(*_: object, **__: object) -> list[dict[str, str]]:
        answer = answers.pop(0)
        if answer == "active":  # it has stopped before whoever asked comes to read this
            systemd._hear(says("inactive"))
        return [{"ActiveState": answer}]

    monkeypatch.setattr(systemd, "call", call)
    assert await systemd.properties(NAME) == {"ActiveState": "inactive"}
    assert heard == [{"ActiveState": "inactive"}]
    assert answers == []
