"""``[[gate.smoke]]`` in an app file: what is taken, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import load_app
from tests.config.samples import SHOP, problems_of, write

LOGIN = """
[[gate.smoke]]
service = "api"
http = { path = "/login", method = "POST", send_json = { a = ["{slot}"] }, capture = { t = "x.y" } }
"""
CALL = """
[[gate.smoke]]
name = "call"
service = "api"
http = { path = "/me?{captured.t}" }
"""


def test_steps_are_taken_in_their_order(tmp_path: Path) -> None:
    shop = load_app(write(tmp_path, SHOP + LOGIN + CALL))
    assert [step.label for step in shop.gate.smoke] == ["smoke POST /login", "smoke call"]
    assert shop.gate.smoke[0].timeout == 10.0


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        (CALL, "gate.smoke[0].http.path", "there is no placeholder {captured.t} here"),
        (CALL + LOGIN, "gate.smoke[0].http.path", "no placeholder {captured.t}"),
        (LOGIN.replace("slot", "slt"), "gate.smoke[0].http.send_json.a[0]", "{slt}"),
        (LOGIN.replace('"api"', '"apy"'), "gate.smoke[0].service", 'no service "apy"'),
        (LOGIN.replace('"api"', '"worker"'), "gate.smoke[0].service", "has no ports"),
        (LOGIN.replace("POST", "SEND"), "gate.smoke[0].http.method", '"SEND" cannot be used'),
        (LOGIN.replace("send_json", "send = 'x', send_json"), "gate.smoke[0].http", "one body"),
        (LOGIN + "tcp = {}\n", "gate.smoke[0].tcp", "no key"),
        (LOGIN + 'command = { run = "true" }\n', "gate.smoke[0]", "exactly one of"),
        (LOGIN + CALL + CALL, "gate.smoke[2].name", "the same as gate.smoke[1].name"),
    ],
)
def test_refusals(tmp_path: Path, text: str, key: str, wrong: str) -> None:
    (problem,) = problems_of(tmp_path, SHOP + text)
    assert problem.key == key
    assert wrong in problem.wrong
    assert problem.line is not None
    assert problem.line > SHOP.count("\n")
