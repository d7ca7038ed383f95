"""The worker of the care: lets time pass for visits, keeps rules' visits scheduled, raises concentrations.

It reads the read model and commands with explicit instants; every decision rests on the aggregate's own events, so a
read model that lags makes it late, never wrong. One process works (advisory lock); repeats change nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from services.kernel import clock
from services.kernel.database import TRANSIENT, Connection
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kernel.projection import reading
from services.kernel.tasks import end
from services.tickets.care_commanding import state_of
from services.tickets.care_commands import SYSTEM, CancelVisit, CareCommand, PassTime
from services.tickets.care_counts import raised
from services.tickets.care_decisions import decide
from services.tickets.care_domain import VisitRule
from services.tickets.care_schedule import AHEAD, Key, Planned, Source, begins, given_up, schedule
from services.tickets.commanding import Tickets

log = logging.getLogger("opsledger.tickets")

PASSING: tuple[type[BaseException], ...] = (*TRANSIENT, Refusal)  # looked at again later
LOCK = 0x63617265  # advisory lock of the worker
PRINCIPAL = "service:tickets"
TOGETHER = 32  # aggregates of one commit at most

Command = tuple[str, CareCommand]  # aggregate and what is asked of it

_PASSED = "SELECT visit FROM visit WHERE state = 'planned' AND due < $1 ORDER BY due, visit LIMIT 1000"
_GONE = (
    "SELECT v.visit, g.at FROM gone g JOIN visit v USING (customer) WHERE v.state IN ('planned', 'missed')"
    " ORDER BY v.visit LIMIT 1000"
)
_MEMBERS = """
SELECT * FROM (
    SELECT c.customer, c.project, c.since, (
        SELECT max(v.due) FROM visit v WHERE v.rule = $1 AND v.customer = c.customer
        AND v.project IS NOT DISTINCT FROM c.project AND v.scheduled_at >= $4) AS last
    FROM (
        SELECT customer, project, since FROM project_customer WHERE $2::text IS NULL OR project = $2
        UNION ALL
        SELECT named, $2, NULL FROM unnest($3::text[]) AS named
    ) c WHERE NOT EXISTS (SELECT FROM gone g WHERE g.customer = c.customer)
) m WHERE $5::date IS NULL OR last IS NULL OR last + $6::int <= $5
ORDER BY customer, project, since NULLS LAST
"""
_WITHDRAWN = "v.state = 'cancelled' AND v.cause = 'rule_ended'"
_COMPLAINTS = f"""
SELECT t.customer, t.resolved_project AS project, t.resolved_at AS since, t.ticket, t.resolution FROM care_ticket t
WHERE t.resolved_kind = 'complaint' AND t.resolved_at IS NOT NULL AND ($2::text IS NULL OR t.resolved_project = $2)
AND t.resolved_at >= $3 AND NOT EXISTS (SELECT FROM gone g WHERE g.customer = t.customer)
AND NOT EXISTS (SELECT FROM visit v WHERE v.ticket = t.ticket AND v.rule = $1 AND v.scheduled_at >= t.resolved_at
    AND v.scheduled_at >= $4 AND NOT ({_WITHDRAWN})) ORDER BY t.ticket
"""
_OF_PLANNED = """
SELECT t.customer, t.resolved_project AS project, t.resolved_at AS since, t.ticket, t.resolution FROM care_ticket t
WHERE t.resolved_kind = 'complaint' AND t.resolved_at IS NOT NULL AND ($1::text IS NULL OR t.resolved_project = $1)
AND t.ticket = ANY($2) ORDER BY t.ticket
"""
_PLANNED = "SELECT visit, customer, project, ticket, due FROM visit WHERE rule = $1 AND due >= $2 AND state = 'planned'"
_FORMER = f"""
SELECT customer, project, ticket, due FROM visit v WHERE rule = $1 AND due >= $2 AND NOT ({_WITHDRAWN})
AND (scheduled_at < $3 OR ticket = ANY($4))
"""


class CareWorker:
    """Looks every `poll` seconds what time has done to visits and which rules are new, every `rules_every` at all."""

    def __init__(
        self,
        tickets: Tickets,
        *,
        poll: float = 5.0,
        rules_every: float = 300.0,
    ) -> None:
        self.tickets = tickets
        self.zone = tickets.settings.zone
        self._poll, self._rules_every = poll, rules_every
        self._rules_at = float("-inf")
        self._seen: dict[str, int] = {}  # rule -> version that has been carried out
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
            known = [dict(row) for row in await conn.fetch("SELECT * FROM visit_rule ORDER BY rule")]
        await self._command([(f"visit:{row['visit']}", _erased(row["at"])) for row in gone])
        due = rules or clock.monotonic() - self._rules_at >= self._rules_every
        for row in known:
            if due or self._seen.get(row["rule"]) != row["version"]:
                await self._carry_out(row, now)
        if due:
            self._rules_at = clock.monotonic()
            async with reading(self.tickets.db, "statistics") as (conn, _):
                found = await raised(conn, now, self.zone)
            await self._command([(f"case:{one.case}", one) for one in found])
        async with reading(self.tickets.db, "care") as (conn, _):
            passed = await conn.fetch(_PASSED, now.astimezone(self.zone).date())
        await self._command([(f"visit:{row['visit']}", PassTime(now)) for row in passed])

    async def _carry_out(self, row: dict[str, Any], now: datetime) -> None:
        """Schedule what a rule asks for, and give up what it asks for no more."""
        version: int = row.pop("version")
        rule = VisitRule(**{**row, "customers": tuple(row["customers"])})
        today = now.astimezone(self.zone).date()
        changed = self._seen.get(rule.rule) != version
        async with reading(self.tickets.db, "care") as (conn, _):
            no_more = given_up(rule, *await _kept(conn, rule, self.zone, changed=changed), self.zone)
            sources = await _sources(conn, rule, self.zone, today)
            former = await _former(conn, rule, sources, self.zone)
        wanted = schedule(rule, sources, former, today, self.zone)
        commands: list[Command] = [(f"visit:{v}", CancelVisit("rule_ended", SYSTEM, rule.at)) for v in no_more]
        commands += [(f"visit:{one.visit}", one) for one in wanted]
        await self._command(commands, (f"visit_rule:{rule.rule}", version))
        self._seen[rule.rule] = version

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


async def _sources(conn: Connection, rule: VisitRule, zone: ZoneInfo, today: date | None) -> list[Source]:
    """Return whom the rule visits: those whose next visit may be due for scheduling `today` (None: all of them).

    A customer that both belongs and is named is visited from the start.
    """
    if rule.ended:
        return []
    if rule.trigger == "after_complaint":
        earliest = max(rule.since, begins(rule, zone) - timedelta(days=rule.days))
        since = datetime.combine(earliest, time(0), zone)
        rows = await conn.fetch(_COMPLAINTS, rule.rule, rule.project, since, rule.at)
        return [Source(**dict(row)) for row in rows]
    until = None if today is None else today + timedelta(days=AHEAD)
    rows = await conn.fetch(_MEMBERS, rule.rule, rule.project, list(rule.customers), rule.at, until, rule.days)
    return list({(row["customer"], row["project"]): Source(**dict(row)) for row in rows}.values())


async def _kept(
    conn: Connection, rule: VisitRule, zone: ZoneInfo, *, changed: bool
) -> tuple[list[Source], list[Planned]]:
    """Return the visits that are planned and whom the rule visits now.

    An every-days rule keeps its visits until it is changed; a complaint may be reopened at any time.
    """
    of_complaints = rule.trigger == "after_complaint"
    if not (changed or of_complaints):
        return [], []
    rows = await conn.fetch(_PLANNED, rule.rule, begins(rule, zone))
    planned = [Planned(**dict(row)) for row in rows]
    if not of_complaints:
        return await _sources(conn, rule, zone, None), planned
    tickets = [visit.ticket for visit in planned if visit.ticket]
    rows = await conn.fetch(_OF_PLANNED, rule.project, tickets)
    return [Source(**dict(row)) for row in rows], planned


async def _former(conn: Connection, rule: VisitRule, sources: Sequence[Source], zone: ZoneInfo) -> set[Key]:
    """Return what stands and is not to be made anew: former definitions' visits, a complaint's former resolutions'."""
    tickets = [source.ticket for source in sources if source.ticket]
    rows = await conn.fetch(_FORMER, rule.rule, begins(rule, zone), rule.at, tickets)
    return {(row["customer"], row["project"], row["ticket"], row["due"]) for row in rows}
