"""Back-off, limits and giving up: by a clock that the tests turn."""

from __future__ import annotations

import email.utils
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluegreen.notifications.answer import ACCEPTED, Answer, Outcome, answer_to, failed
from bluegreen.notifications.schedule import (
    Patience,
    is_too_old,
    next_step,
    until_retry,
)
from bluegreen.store.outbox import Progress

NOW = 1_800_000_000.0
PATIENCE = Patience()
FRESH = Progress(key="k", address="a", mark="m", cursor=0, since=0.0)


def step(progress: Progress, answer: Answer, *, now: float = NOW, chance: float = 1.0) -> Progress:
    return next_step(progress, 7, answer, now=now, chance=chance, patience=PATIENCE)


def test_pauses_double_up_to_the_longest_and_are_forgotten_at_a_success() -> None:
    progress, pauses = FRESH, []
    for _ in range(12):
        progress = step(progress, failed("no"))
        pauses.append(until_retry(progress, NOW, PATIENCE))
    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert pauses[-1] == PATIENCE.longest
    assert progress.cursor == 0  # nothing is left out for that
    told = step(progress, ACCEPTED)
    assert (told.cursor, told.failures, told.retry_at, told.delivered) == (7, 0, None, 1)
    assert until_retry(step(told, failed("no")), NOW, PATIENCE) == 5.0


@given(failures=st.integers(0, 10**6), chance=st.floats(0, 1))
def test_chance_takes_at_most_half_of_a_pause(failures: int, chance: float) -> None:
    progress = Progress(key="k", address="a", mark="m", cursor=0, since=0, failures=failures)
    pauses = [
        until_retry(step(progress, failed("no"), chance=at), NOW, PATIENCE)
        for at in (0.0, chance, 1.0)
    ]
    assert pauses == sorted(pauses)
    assert 0 < pauses[2] <= PATIENCE.longest
    assert pauses[0] == pytest.approx(pauses[2] / 2)


def test_what_a_receiver_asks_for_is_kept_but_not_for_ever() -> None:
    for asked, waited in ((600.0, 600.0), (1.0, 5.0), (10**9, PATIENCE.asked_for)):
        answer = Answer(outcome=Outcome.FAILED, retry_after=asked)
        assert until_retry(step(FRESH, answer), NOW, PATIENCE) == waited


def test_a_clock_that_was_set_back_does_not_prolong_a_pause() -> None:
    progress = step(FRESH, failed("no"))
    assert until_retry(progress, NOW - 10**8, PATIENCE) <= PATIENCE.asked_for
    assert until_retry(progress, NOW + 10**8, PATIENCE) == 0.0


def test_a_message_that_is_refused_is_left_out_after_some_attempts() -> None:
    refused, progress = Answer(outcome=Outcome.REFUSED, said="it answers 400"), FRESH
    for _ in range(PATIENCE.refusals):
        progress = step(progress, failed("it is away"))  # which is no refusal
    progress = replace(progress, failures=0, retry_at=None)
    for attempt in range(1, PATIENCE.refusals):
        progress = step(progress, refused)
        assert (progress.refusals, progress.cursor) == (attempt, 0)
    progress = step(progress, refused)
    assert (progress.refusals, progress.cursor, progress.dropped) == (0, 7, 1)
    assert (progress.failures, progress.retry_at) == (0, None)  # the next is sent at once
    assert progress.last_error == "it answers 400"


def test_what_is_old_is_told_no_more() -> None:
    assert not is_too_old(NOW - PATIENCE.life, NOW, PATIENCE)
    assert is_too_old(NOW - PATIENCE.life - 1, NOW, PATIENCE)


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "wait"),
    [
        (204, {}, Outcome.ACCEPTED, None),
        (302, {"Location": "/"}, Outcome.FAILED, None),
        (400, {}, Outcome.REFUSED, None),
        (401, {}, Outcome.FAILED, None),
        (404, {}, Outcome.FAILED, None),
        (410, {}, Outcome.GONE, None),
        (413, {}, Outcome.REFUSED, None),
        (429, {"Retry-After": "120"}, Outcome.FAILED, 120.0),
        (429, {"Retry-After": "soon"}, Outcome.FAILED, None),
        (503, {"Retry-After": email.utils.formatdate(NOW + 60)}, Outcome.FAILED, 60.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 30:.0f}"},
         Outcome.FAILED, 30.0),
        (403, {"x-ratelimit-remaining": "9", "x-ratelimit-reset": "9"}, Outcome.FAILED, None),
        (500, {}, Outcome.FAILED, None),
    ],
)  # fmt: skip
def test_what_an_answer_means(
    status: int, headers: dict[str, str], outcome: Outcome, wait: float | None
) -> None:
    answer = answer_to(status, headers, "", NOW)
    assert (answer.outcome, answer.retry_after) == (outcome, wait)


@settings(max_examples=50)
@given(
    status=st.integers(200, 599),
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "x-ratelimit-remaining", "x-ratelimit-reset"]), st.text()
    ),
    body=st.text(),
)
def test_no_answer_is_more_than_one_line_or_a_failure_to_understand(
    status: int, headers: dict[str, str], body: str
) -> None:
    answer = answer_to(status, headers, body, NOW)
    assert len(answer.said.splitlines()) <= 1
    assert answer.retry_after is None or answer.retry_after >= 0
