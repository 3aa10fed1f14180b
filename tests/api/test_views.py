"""Documents of the API, of records as the store has them."""

from __future__ import annotations

from bluegreen.api.views import phase_views
from bluegreen.model import PhaseName, PhaseRecord, PhaseState


def test_a_clock_that_was_set_back_makes_no_phase_take_less_than_nothing() -> None:
    begun = PhaseRecord(operation=1, phase=PhaseName.GATE, state=PhaseState.INTENT, at=20000.0)
    done = PhaseRecord(operation=1, phase=PhaseName.GATE, state=PhaseState.DONE, at=2001.1)
    (view,) = phase_views([begun, done])
    assert (view["began"], view["seconds"]) == (20000.0, 0.0)
