"""The passing of time: tickets whose timer is due are decided with PassTime, each event at its own exact instant.

Must not compute anything itself: woken late, twice or beside a replica, it decides the same events (record 11).
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from services.kernel.clock import now
from services.kernel.database import TRANSIENT
from services.kernel.errors import Unavailable, VersionConflict
from services.kernel.ledger import Work
from services.kernel.tasks import end
from services.tickets.commanding import Tickets
from services.tickets.domain import SYSTEM, PassTime
from services.tickets.ticket_commands import decide_and_append, load

log = logging.getLogger("opsledger.tickets")

EVERY = 1.0  # seconds between looks; the instants in the events do not depend on it
AT_ONCE = 256  # tickets decided together: they share transactions
PASSING: tuple[type[Exception], ...] = (Unavailable, *TRANSIENT)
AGAIN = timedelta(minutes=5)  # a ticket whose decision fails is not in the others' way meanwhile


class TimerWorker:
    """Asks the index of due timers, one second after another."""

    def __init__(self, tickets: Tickets) -> None:
        self.tickets = tickets
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="ticket-timers")

    async def stop(self) -> None:
        await end(self._task)

    async def _run(self) -> None:
        while True:
            worked = 0
            try:
                worked = await self.pass_time()
            except PASSING as error:
                log.warning("timers_interrupted", extra={"error": repr(error)})
            except Exception:  # a worker that ends would let every promise be broken in silence
                log.exception("timers_failed")
            if worked < AT_ONCE:
                await asyncio.sleep(EVERY)

    async def pass_time(self, at: datetime | None = None) -> int:
        """Decide what fell due before `at` (default: now); return how many tickets were looked at.

        A due instant is past only when its second is over, so that nobody says "breached" in the very second in which
        the promise is still kept.
        """
        moment = (at or now()).replace(microsecond=0)
        async with self.tickets.db.conn() as conn:
            rows = await conn.fetch(
                "SELECT ticket FROM public.ticket_timer WHERE due_at < $1 ORDER BY due_at LIMIT $2", moment, AT_ONCE
            )
        outcomes = await asyncio.gather(*(self._one(row["ticket"], moment) for row in rows), return_exceptions=True)
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, PASSING):
                raise outcome
            if isinstance(outcome, Exception) and not isinstance(outcome, VersionConflict):
                log.error("timer_failed", extra={"ticket": row["ticket"]}, exc_info=outcome)
                await self._later(row["ticket"], moment)
        return len(rows)

    async def _one(self, ticket: str, at: datetime) -> None:
        async def decide(work: Work) -> None:
            state, levels, version = await load(self.tickets, work, ticket)
            await decide_and_append(work, state, version, PassTime(at=at), levels)

        await self.tickets.committer.submit(decide, principal=SYSTEM)

    async def _later(self, ticket: str, at: datetime) -> None:
        async with self.tickets.db.conn() as conn:
            await conn.execute("UPDATE public.ticket_timer SET due_at = $2 WHERE ticket = $1", ticket, at + AGAIN)
