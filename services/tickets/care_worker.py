"""The worker of the care: lets time pass for visits, keeps rules' visits scheduled, raises concentrations.

It reads the read model and commands with explicit instants; every decision rests on the aggregate's own events, so a
read model that lags makes it late, never wrong. One process works (advisory lock); repeats change nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from services.kernel import clock
from services.kernel.database import TRANSIENT, Connection
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kernel.projection import reading
from services.kernel.tasks import end
from services.tickets.care_commanding import state_of
from services.tickets.care_commands import SYSTEM, CancelVisit, CareCommand, PassTime, RaiseConcentration
from services.tickets.care_decisions import decide
from services.tickets.care_domain import VisitRule
from services.tickets.care_schedule import Key, Planned, Source, begins, given_up, schedule
from services.tickets.commanding import Tickets

log = logging.getLogger("opsledger.tickets")

PASSING: tuple[type[BaseException], ...] = (*TRANSIENT, Refusal)  # looked at again later
LOCK = 0x63617265  # advisory lock of the worker
PRINCIPAL = "service:tickets"
TOGETHER = 64  # aggregates of one commit at most

Concentrations = Callable[[datetime], Awaitable[Sequence[RaiseConcentration]]]
Command = tuple[str, CareCommand]  # aggregate and what is asked of it

_PASSED = "SELECT visit FROM visit WHERE state = 'planned' AND due < $1 ORDER BY due, visit LIMIT 1000"
_GONE = (
    "SELECT v.visit, g.at FROM gone g JOIN visit v USING (customer) WHERE v.state IN ('planned', 'missed')"
    " ORDER BY v.visit LIMIT 1000"
)
_MEMBERS = """
SELECT c.customer, c.project, c.since, (
    SELECT max(v.due) FROM visit v WHERE v.rule = $1 AND v.customer = c.customer
    AND v.project IS NOT DISTINCT FROM c.project AND v.scheduled_at >= $4) AS last
FROM (
    SELECT customer, project, since FROM project_customer WHERE $2::text IS NULL OR project = $2
    UNION ALL
    SELECT named, $2, NULL FROM unnest($3::text[]) AS named
) c WHERE NOT EXISTS (SELECT FROM gone g WHERE g.customer = c.customer)
ORDER BY c.customer, c.project, c.since NULLS LAST
"""
_COMPLAINTS = """
SELECT t.customer, t.resolved_project AS project, t.resolved_at AS since, t.ticket, t.resolution FROM care_ticket t
WHERE t.resolved_kind = 'complaint' AND t.resolved_at IS NOT NULL AND ($1::text IS NULL OR t.resolved_project = $1)
AND t.resolved_at >= $2 AND NOT EXISTS (SELECT FROM gone g WHERE g.customer = t.customer) ORDER BY t.ticket
"""

_STANDING = """
SELECT visit, customer, project, ticket, due, state, scheduled_at < $3 AS former FROM visit
WHERE rule = $1 AND due >= $2 AND (state = 'planned' OR scheduled_at < $3 OR ticket IS NOT NULL)
AND NOT (state = 'cancelled' AND cause = 'rule_ended')
"""


class CareWorker:
    """Looks every `poll` seconds what time has done to visits, every `rules_every` seconds at the rules."""

    def __init__(
        self,
        tickets: Tickets,
        concentrations: Concentrations | None = None,
        *,
        poll: float = 5.0,
        rules_every: float = 60.0,
    ) -> None:
        self.tickets = tickets
        self.zone = tickets.settings.zone
        self._concentrations = concentrations
        self._poll, self._rules_every = poll, rules_every
        self._rules_at = float("-inf")
        self._lock: asyncpg.Connection | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="tickets-care")

    async def stop(self) -> None:
        await end(self._task)
        self._unlock()

    async def _run(self) -> None:
        while True:
            try:
                if await self._leads():
                    await self.work_once(clock.now())
            except PASSING as error:
                log.warning("care_interrupted", extra={"error": repr(error)})
            except Exception:
                log.exception("care_failed")
            await asyncio.sleep(self._poll)

    async def _leads(self) -> bool:
        """Whether this process is the one that works; tries to become it."""
        if self._lock is not None and not self._lock.is_closed():
            return True
        self._unlock()
        self._lock = await self.tickets.db.dedicated()
        if await self._lock.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            return True
        self._unlock()
        return False

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.terminate()
            self._lock = None

    async def work_once(self, now: datetime, *, rules: bool = False) -> None:
        """Carry out what is due at `now`: erasures first, since a visit that fell with its customer is not missed."""
        now = now.replace(microsecond=0)
        async with reading(self.tickets.db, "care") as (conn, _):
            gone = await conn.fetch(_GONE)
        await self._command([(f"visit:{row['visit']}", _erased(row["at"])) for row in gone])
        if rules or clock.monotonic() - self._rules_at >= self._rules_every:
            self._rules_at = clock.monotonic()
            await self._rules(now)
            await self._raise(now)
        async with reading(self.tickets.db, "care") as (conn, _):
            passed = await conn.fetch(_PASSED, now.astimezone(self.zone).date())
        await self._command([(f"visit:{row['visit']}", PassTime(now)) for row in passed])

    async def _rules(self, now: datetime) -> None:
        async with reading(self.tickets.db, "care") as (conn, _):
            rules = [dict(row) for row in await conn.fetch("SELECT * FROM visit_rule ORDER BY rule")]
        for row in rules:
            version = row.pop("version")
            rule = VisitRule(**{**row, "customers": tuple(row["customers"])})
            async with reading(self.tickets.db, "care") as (conn, _):
                sources = await _sources(conn, rule, self.zone)
                former, planned = await _standing(conn, rule, begins(rule, self.zone))
            today = now.astimezone(self.zone).date()
            no_more = given_up(rule, sources, planned, self.zone)
            wanted = schedule(rule, sources, former, today, self.zone)
            commands: list[Command] = [(f"visit:{v}", CancelVisit("rule_ended", SYSTEM, rule.at)) for v in no_more]
            commands += [(f"visit:{one.visit}", one) for one in wanted]
            await self._command(commands, (f"visit_rule:{rule.rule}", version))

    async def _raise(self, now: datetime) -> None:
        if self._concentrations is not None:
            found = await self._concentrations(now)
            await self._command([(f"case:{one.case}", one) for one in found])

    async def _command(self, commands: Sequence[Command], guard: tuple[str, int] | None = None) -> None:
        """Decide the commands, many in one commit. `guard`: an aggregate that must still be at this version."""
        for start in range(0, len(commands), TOGETHER):
            some = commands[start : start + TOGETHER]

            async def work(work: Work, some: Sequence[Command] = some) -> None:
                if guard is not None and not await _still(work.conn, *guard):
                    return
                for aggregate, command in some:
                    await self._decide(work, aggregate, command)

            await self.tickets.committer.submit(work, principal=PRINCIPAL)

    async def _decide(self, work: Work, aggregate: str, command: CareCommand) -> None:
        events, version = await work.load(aggregate)
        try:
            decided = decide(state_of(events), command, self.zone)
        except Refusal as refusal:  # somebody was faster: the read model will show it
            log.info("care_command_refused", extra={"aggregate": aggregate, "code": refusal.code})
            return
        work.append(aggregate, version, decided)


def _erased(at: datetime) -> CancelVisit:
    return CancelVisit("customer_erased", SYSTEM, at)


async def _still(conn: Connection, aggregate: str, version: int) -> bool:
    """Whether the aggregate is at this version; it stays there until the transaction ends."""
    found = await conn.fetchval("SELECT version FROM aggregate WHERE id = $1 FOR SHARE", aggregate)
    return bool(found == version)


async def _sources(conn: Connection, rule: VisitRule, zone: ZoneInfo) -> list[Source]:
    """Return whom the rule visits: a customer that both belongs and is named is visited from the start."""
    if rule.ended:
        return []
    if rule.trigger == "after_complaint":
        earliest = max(rule.since, begins(rule, zone) - timedelta(days=rule.days))
        rows = await conn.fetch(_COMPLAINTS, rule.project, datetime.combine(earliest, time(0), zone))
        return [Source(**dict(row)) for row in rows]
    rows = await conn.fetch(_MEMBERS, rule.rule, rule.project, list(rule.customers), rule.at)
    return list({(row["customer"], row["project"]): Source(**dict(row)) for row in rows}.values())


async def _standing(conn: Connection, rule: VisitRule, first: date) -> tuple[set[Key], list[Planned]]:
    """Return what is not to be made anew in the days from `first`, and what of it is planned.

    Of an every-days rule that is what former definitions have made: its own go up to its sources' `last`.
    """
    rows = await conn.fetch(_STANDING, rule.rule, first, rule.at)
    keys = {
        (row["customer"], row["project"], row["ticket"], row["due"]) for row in rows if row["former"] or row["ticket"]
    }
    planned = [
        Planned(row["visit"], row["customer"], row["project"], row["ticket"], row["due"])
        for row in rows
        if row["state"] == "planned"
    ]
    return keys, planned
