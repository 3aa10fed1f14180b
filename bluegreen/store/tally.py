"""How the operations of the whole history ended, and how long they and their phases took: counted.

The history is never rewritten, so that what was counted stays true: only what was recorded since is
looked at. A daemon that begins anew comes to the same figures, as whoever collects them expects.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable

from bluegreen.durations import Durations
from bluegreen.model import PhaseName
from bluegreen.store.database import Database, Row

AT_ONCE = 2000  # rows: some milliseconds, in which others who ask the store wait

PHASE_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)  # seconds
SWITCH_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)  # seconds

_NEWEST = """
    SELECT
        coalesce((SELECT max(id) FROM operation_states), 0) AS states,
        coalesce((SELECT max(id) FROM phases), 0) AS phases
"""
_ENDED = """
    SELECT
        o.app, o.kind, s.state, count(*) AS count,
        sum(max(0.0, s.at - coalesce(t.at, o.created_at))) AS seconds
    FROM operation_states AS s
    INNER JOIN operations AS o ON o.id = s.operation
    LEFT JOIN turns AS t ON t.operation = s.operation
    WHERE s.id > ? AND s.id <= ? AND s.state NOT IN ('queued', 'running')
    GROUP BY o.app, o.kind, s.state
"""
_TOOK = """
    SELECT ended.phase, ended.state, ended.at - began.at AS seconds
    FROM phases AS ended
    INNER JOIN phases AS began
        ON began.operation = ended.operation AND began.phase = ended.phase
        AND began.state = 'intent'
    WHERE ended.id > ? AND ended.id <= ? AND ended.previous = 'intent'
        AND ended.state IN ('done', 'failed')
"""


class Tally:
    """Figures since the first operation, as of the last :meth:`catch_up`.

    Of operations by app, kind and outcome; of phases by their name and whether they were done.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._states = 0  # the newest row that is counted …
        self._phases = 0  # … of either table
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        self.seconds: Counter[tuple[str, str]] = Counter()  # by app and kind
        self.phases: defaultdict[tuple[str, str], Durations] = defaultdict(
            lambda: Durations(PHASE_BOUNDS)
        )
        self.switches = Durations(SWITCH_BOUNDS)  # from the intent until nginx has confirmed it

    async def catch_up(self) -> None:
        """Count what was recorded since the last time. Raises StoreError."""
        async with self._turn:
            [newest] = await self._database.read(_NEWEST)
            await self._count(_ENDED, self._states, newest["states"], self._count_outcomes)
            await self._count(_TOOK, self._phases, newest["phases"], self._count_phases)

    async def _count(
        self, sql: str, after: int, newest: int, take: Callable[[list[Row], int], None]
    ) -> None:
        while after < newest:
            to = min(after + AT_ONCE, newest)
            take(await self._database.read(sql, (after, to)), to)
            after = to

    def _count_outcomes(self, rows: list[Row], to: int) -> None:
        for row in rows:
            self.outcomes[row["app"], row["kind"], row["state"]] += row["count"]
            self.seconds[row["app"], row["kind"]] += row["seconds"]
        self._states = to

    def _count_phases(self, rows: list[Row], to: int) -> None:
        for row in rows:
            self.phases[row["phase"], row["state"]].observe(row["seconds"])
            if row["phase"] == PhaseName.SWITCH and row["state"] == "done":
                self.switches.observe(row["seconds"])
        self._phases = to
