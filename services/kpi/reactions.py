"""The worker that keeps alerts true: looks at what is due, decides transitions on the kpi ledger, rests.

Its share of a core is bounded, so that it never starves the projections. One process leads (advisory lock); the
aggregate's version keeps every transition single whoever works. Time passes as an explicit instant of each look.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from services.kernel import clock
from services.kernel.commands import execute
from services.kernel.database import TRANSIENT
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kernel.tasks import end
from services.kpi import alert_rows, alerts, evaluation
from services.kpi.context import Kpi
from services.kpi.figures import Snapshot
from services.kpi.rules import Attainment

log = logging.getLogger("opsledger.kpi")

PASSING: tuple[type[BaseException], ...] = (*TRANSIENT, Refusal)  # looked at again later
LOCK = 0x616C7274  # advisory lock of the worker
PRINCIPAL = "service:kpi"
ROUTE = "alerts"
TOGETHER = 256  # transitions of one commit at most
ASK_AGAIN = 5.0  # seconds before a silent owner is asked again
FIRST_REST = 0.2  # seconds that changes gather before a look


@dataclass(slots=True)
class Inputs:
    """Up to which day every input is known to be applied, and what it takes for the next."""

    day: date | None = None
    awaited_day: date | None = None
    awaited: dict[str, int] | None = None

    def reached(self, at: Snapshot) -> bool:
        """Whether everything recorded before today is in the snapshot."""
        awaited = self.awaited if self.awaited_day == at.today else None
        if awaited is not None and all(at.positions.get(name, 0) >= number for name, number in awaited.items()):
            self.day = at.today
        return self.day == at.today


class AlertWorker:
    """Evaluates what is due, `duty` (0..1) of a core at most."""

    def __init__(self, kpi: Kpi, *, duty: float = 0.1, poll: float = 2.0) -> None:
        self.kpi = kpi
        self.today: date | None = None  # tests say which day it is
        self._duty = duty
        self._poll = poll
        self._inputs = Inputs()
        self._ask_again = 0.0  # when an owner that was silent is asked the next time
        self._lock: asyncpg.Connection | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="kpi-alerts")

    async def stop(self) -> None:
        await end(self._task)

    async def _run(self) -> None:
        async with self.kpi.changes.subscribe() as changed:
            try:
                while True:
                    try:
                        if await self._leads():
                            await self._work_while_due()
                    except PASSING as error:
                        log.warning("alerts_interrupted", extra={"error": repr(error)})
                    except Exception:
                        log.exception("alerts_failed")
                        await asyncio.sleep(5)
                    if await changed.take(self._poll if self._lock is None else 30.0) != set():
                        await asyncio.sleep(FIRST_REST)
            finally:
                self._unlock()

    async def _leads(self) -> bool:
        """Whether this process is the one that works; tries to become it."""
        if self._lock is not None and not self._lock.is_closed():
            return True
        self._unlock()
        self._lock = await self.kpi.db.dedicated()
        if await self._lock.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            return True
        self._unlock()
        return False

    def _unlock(self) -> None:
        """End the connection, and with it the lock, at once: also while this task is being cancelled."""
        if self._lock is not None:
            self._lock.terminate()
            self._lock = None

    async def _work_while_due(self) -> None:
        more = True
        while more:
            started = clock.monotonic()
            more = await self.work_once()
            await asyncio.sleep((clock.monotonic() - started) * (1 / self._duty - 1))

    async def work_once(self) -> bool:
        """Evaluate the first batch that is due; return whether there was one."""
        await self._await_inputs()
        async with self.kpi.figures.snapshot(self.today) as at:
            complete = self._inputs.reached(at)
            batches = await evaluation.due(at, complete=complete)
            if not batches:
                return False
            found = await evaluation.look(self.kpi.figures, at, batches[0])
            known = await alert_rows.standing(at.conn, map(alerts.key_of, found)) if found else {}
            positions, instant = dict(at.positions), at.as_of
        changed = [
            figure
            for figure in found
            if alerts.transitions(known.get(alerts.key_of(figure), alerts.NEW), figure, complete=complete)
        ]
        for start in range(0, len(changed), TOGETHER):
            await self._decide(changed[start : start + TOGETHER], instant, positions, complete)
        async with self.kpi.db.tx() as conn:
            await evaluation.note(conn, batches[0])
        return True

    async def _await_inputs(self) -> None:
        """On a new day find out what has been recorded by now: the days before are complete once it is applied.

        While an owner does not say, nothing is complete; everything but "missed" is decided all the same.
        """
        today = self.today or clock.now().astimezone(self.kpi.settings.zone).date()
        if self._inputs.awaited_day == today or clock.monotonic() < self._ask_again:
            return
        try:
            self._inputs.awaited = await self.kpi.heads.of(self.kpi.ledgers, sure=True)
        except OSError as error:
            self._ask_again = clock.monotonic() + ASK_AGAIN
            log.warning("inputs_not_known", extra={"error": str(error)})
        else:
            self._inputs.awaited_day = today

    async def _decide(
        self, figures: list[Attainment], instant: datetime, positions: dict[str, int], complete: bool
    ) -> None:
        async def decide(work: Work) -> None:
            work.rests_on(positions, self.kpi.epochs)
            # The rows are written with the commits, so they are the aggregates' state; the versions, read before
            # them, guard it.
            names = [alerts.aggregate_of(alerts.key_of(figure)) for figure in figures]
            rows = await work.conn.fetch("SELECT id, version FROM aggregate WHERE id = ANY($1)", names)
            versions = {row["id"]: row["version"] for row in rows}
            known = await alert_rows.standing(work.conn, map(alerts.key_of, figures))
            for name, figure in zip(names, figures, strict=True):
                alert = known.get(alerts.key_of(figure), alerts.NEW)
                events = alerts.decide(alert, figure, instant, positions, complete=complete)
                work.append(name, versions.get(name, 0), events, subject=name)

        await execute(self.kpi.committer, decide, principal=PRINCIPAL, route=ROUTE, retry_on_conflict=True)
