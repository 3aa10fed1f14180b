"""Verdicts on simulated visitors, so that chance is the only thing that varies."""

from __future__ import annotations

import random
from math import comb
from typing import Any

import pytest

from bluegreen.config.watch_section import Watch
from bluegreen.model import Slot
from bluegreen.watching.evidence import chance, chance_of_two
from bluegreen.watching.judging import Before, Judge, Limits
from bluegreen.watching.line import Seen
from bluegreen.watching.recording import Recording

RATE = 200  # requests a second
BEFORE = Before(requests=4000, error_rate=0.0, timed=4000, p99=0.1)


def watch(**settings: Any) -> Watch:
    return Watch.model_validate(settings)


class Visits:
    """Visitors of ``green`` whose requests fail or are slow by chance."""

    def __init__(self, seed: int, settings: Watch, before: Before | None = BEFORE) -> None:
        self.recording = Recording(app="shop", window=settings.window, began=0.0)
        self.judge = Judge(settings, self.recording, Slot.GREEN, before)
        self.now = 0.0
        self._chance = random.Random(seed)  # no secret

    def come(self, seconds: float, *, fail: float = 0.0, slower: float = 1.0) -> str | None:
        """The verdict, if there was one within the time; it ends with that."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.1
            self.recording.add([self._one(fail, slower) for _ in range(RATE // 10)], self.now)
            if (worse := self.judge.worse(self.now)) is not None:
                return worse.why
        worse = self.judge.worse_at_the_end()
        return None if worse is None else worse.why

    def _one(self, fail: float, slower: float) -> Seen:
        status = 500 if self._chance.random() < fail else 200
        # Its 99th percentile is 100 ms.
        took = 20 * self._chance.lognormvariate(0, 0.69)
        return Seen("shop", "api", Slot.GREEN, status, round(took * slower))


def test_chance_is_that_of_the_binomial_distribution() -> None:
    assert chance(3, 20, 0.01) == pytest.approx(0.001003, rel=0.01)
    assert chance(1, 20, 0.01) == pytest.approx(1 - 0.99**20)
    assert chance(0, 20, 0.01) == chance(20, 2000, 0.01) == chance(0, 0, 0.0) == 1.0
    assert chance(1, 10, 0.0) == 0.0
    assert chance(100_000, 100_000, 0.01) == pytest.approx(0.0)


def test_two_samples_are_told_apart_by_fishers_exact_test() -> None:
    def exact(bad: int, of: int, bad_before: int, before: int) -> float:
        every, all_bad = of + before, bad + bad_before
        most = range(bad, min(of, all_bad) + 1)
        ways = sum(comb(of, one) * comb(before, all_bad - one) for one in most)
        return ways / comb(every, all_bad)

    for sample in ((5, 50, 1, 100), (40, 1000, 10, 1000), (1, 1, 0, 10), (20, 20, 0, 30)):
        assert chance_of_two(*sample) == pytest.approx(exact(*sample))
    assert chance_of_two(1, 100, 2, 150) == chance_of_two(0, 0, 1, 100) == 1.0


@pytest.mark.parametrize("seed", range(8))
def test_chance_among_few_that_came_before_condemns_nobody(seed: int) -> None:
    before = Visits(seed, watch())
    before.come(0.75)
    known = Before.of(before.recording.of(Slot.GREEN))
    assert 100 <= known.timed <= 200
    assert Visits(seed + 100, watch(max_p99_ratio=1.1), known).come(20) is None


@pytest.mark.parametrize("seed", range(4))
def test_one_that_is_as_good_as_it_may_be_is_not_condemned(seed: int) -> None:
    settings = watch(max_error_rate="1%", max_p99_ratio=1.1)
    assert Visits(seed, settings).come(20, fail=0.004) is None


def test_a_single_error_among_few_condemns_nobody() -> None:
    visits = Visits(1, watch(max_error_rate="1%"))
    bad = Seen("shop", "api", Slot.GREEN, 500, 3)
    good = bad._replace(status=200)
    for number in range(1, 100):
        visits.recording.add([bad if number == 1 else good], number)
        assert visits.judge.worse(number) is None
    assert visits.judge.worse_at_the_end() is None


@pytest.mark.parametrize("seed", range(4))
def test_one_that_fails_for_five_of_a_hundred_is_known_within_seconds(seed: int) -> None:
    visits = Visits(seed, watch(max_error_rate="1%"))
    assert "requests failed (limit 1 %)" in (visits.come(20, fail=0.05) or "")
    assert visits.now < 3


@pytest.mark.parametrize("seed", range(4))
def test_errors_that_begin_later_are_seen_in_the_last_second(seed: int) -> None:
    visits = Visits(seed, watch(max_error_rate="1%"))
    assert visits.come(12) is None
    assert visits.come(12, fail=0.1) is not None
    assert visits.now < 13.5


@pytest.mark.parametrize("seed", range(4))
def test_one_that_is_a_fifth_slower_than_before_is_known(seed: int) -> None:
    settings = watch(max_p99_ratio=1.05)
    before = Visits(seed, settings)
    before.come(15)
    known = Before.of(before.recording.of(Slot.GREEN))
    worse = Visits(seed + 100, settings, known).come(20, slower=1.2)
    assert worse is not None
    assert "1.05 times the" in worse


def test_slow_first_answers_are_forgiven() -> None:
    visits = Visits(1, watch(max_p99="150ms"))
    assert visits.come(0.9, slower=20) is None
    assert visits.come(12) is None
    assert visits.come(30, slower=20) is not None


def test_errors_that_were_there_before_are_not_its_own() -> None:
    before = Before(requests=4000, error_rate=0.03, timed=4000, p99=0.1)
    assert Visits(1, watch(max_error_rate="1%"), before).come(20, fail=0.025) is None
    why = Visits(1, watch(max_error_rate="1%"), before).come(20, fail=0.2)
    assert why is not None
    assert why.endswith("(before it were 3 %)")


def test_the_stricter_of_two_limits_of_time_counts() -> None:
    both = watch(max_p99="120ms", max_p99_ratio=1.5)
    assert Limits.of(both, BEFORE).strictest_p99 == 0.12
    assert Limits.of(both, None).strictest_p99 == 0.12
    other = Limits.of(watch(max_p99="1s", max_p99_ratio=1.5), BEFORE)
    assert other.strictest_p99 == pytest.approx(0.151)


def test_few_requests_are_told() -> None:
    visits = Visits(1, watch(max_p99_ratio=2.0), None)
    assert visits.judge.too_few() == (
        "no request came, too few to judge it by (min_requests is 20)"
    )
    visits.come(1)
    assert visits.judge.too_few() == "too few requests came before it to compare it with"
    assert Judge(watch(), visits.recording, Slot.BLUE, None).too_few() is None


def test_memory_is_bounded_however_much_comes() -> None:
    visits = Visits(1, watch(window="1s"))
    visits.come(20)
    recording = visits.recording
    assert len(recording._lately[Slot.GREEN]._slices) <= 11
    assert len(recording.of(Slot.GREEN).times) < 700
    [last] = recording.last(Slot.GREEN, [1.0], visits.now).values()
    assert RATE * 0.8 <= last.requests <= RATE * 1.1
