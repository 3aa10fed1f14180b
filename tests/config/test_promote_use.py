"""What an app file may not have beside ``[promote] steps``."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration
from tests.config.test_hold_use import BY_MIGRATIONS, load

STEPS = "\n[promote]\nsteps = [5, 25]\n"
BACKED_UP = '\n[backup]\nsqlite = ["a.db"]\n'


@pytest.mark.parametrize(
    ("app", "more", "said"),
    [
        ("", '\n[nginx]\nmode = "upstream"\n', '"upstream" clients are not told apart'),
        ("", '\n[nginx]\nswitch = "reload"\n', '"reload" clients cannot be led to the other'),
        ("overlap = false", "", "and with [app] overlap = false they never may"),
        ("", BACKED_UP + BY_MIGRATIONS, "the old one cannot live with what the new one"),
    ],
)
def test_what_parts_no_clients_is_refused(tmp_path: Path, app: str, more: str, said: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        load(tmp_path, STEPS + more, app)
    (problem,) = refused.value.problems
    assert problem.key == "promote.steps"
    assert said in problem.wrong
    manual = STEPS.replace("steps = [5, 25]", 'mode = "manual"')
    assert load(tmp_path, manual + more, app).promote.mode == "manual"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("steps = [25, 5]", "each step has to be larger than the one before"),
        ("steps = [5, 5]", "Write percents of clients in their order, such as [5, 25, 50]"),
        ("steps = [0, 5]", "promote.steps[0]"),
        ("steps = [100]", "promote.steps[0]"),
        ('steps = [5, 25]\npause = "4d"', "promote.pause: 2 steps of 96 h take longer"),
        ('sticky = "header"', 'Write "cookie" or "address"'),
        ('deadline = "0s"', "promote.deadline"),
    ],
)
def test_what_is_wrong_with_steps_is_said(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        load(tmp_path, f"\n[promote]\n{line}\n")
    (problem,) = map(str, refused.value.problems)
    assert said in problem
