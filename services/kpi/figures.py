"""Figures as they stand in one snapshot: which facts a question needs, and the rules' answer to it.

Everything of an answer is read in one transaction, so that figures, organisation and positions fit each other. Must
not decide what counts: that is `rules`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from contracts.kpi import Quota, ScopeKind
from services.kernel import clock
from services.kernel.database import Connection, Database
from services.kernel.projection import reading
from services.kpi.fact_store import FactStore, active_in, users_of
from services.kpi.facts import Facts, Period
from services.kpi.policies import PolicyBook, PolicyVersion, for_period
from services.kpi.roster import Roster, Rosters
from services.kpi.row_cache import Rows
from services.kpi.rules import Attainment, attain
from services.kpi.rules_rows import figures, periods, scopes

PROJECTIONS = ("facts", "org_facts")
_HELD = (
    "SELECT count(*) FROM public.hold h JOIN public.projection p ON p.name = h.projection"
    " AND p.live_version = h.version WHERE p.name = ANY($1)"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of everything that figures are made of. Valid while its transaction lives."""

    conn: Connection
    positions: dict[str, int]
    as_of: datetime
    today: date
    roster: Roster
    policies: tuple[PolicyVersion, ...]
    held: int  # events that the projections could not apply: figures may lack them


class Figures:
    """Answers questions about attainments from the live projections of one database."""

    def __init__(self, db: Database, zone: ZoneInfo) -> None:
        self.db = db
        self.zone = zone
        self.store = FactStore()
        self.rows = Rows()
        self._rosters = Rosters()
        self.book = PolicyBook()

    @asynccontextmanager
    async def snapshot(self, today: date | None = None) -> AsyncIterator[Snapshot]:
        """Open a snapshot; `today` is the local day of now unless said otherwise."""
        async with reading(self.db, *PROJECTIONS) as (conn, positions):
            as_of = clock.now()
            day = today or as_of.astimezone(self.zone).date()
            roster = await self._rosters.at(conn, positions.get("org", 0))
            policies = await self.book.load(conn)
            held = await conn.fetchval(_HELD, PROJECTIONS)
            yield Snapshot(conn, positions, as_of, day, roster, policies, held)

    async def of_one(
        self, at: Snapshot, scope: ScopeKind, scope_id: str, period: Period, only: str | None = None
    ) -> list[Attainment]:
        """Return the figures of one person, account, pair or unit; `only` names one quota."""
        version = for_period(at.policies, period)
        if version is None:
            return []
        quotas = [quota for quota in version.active if _has(quota, scope, period) and only in (None, quota.id)]
        facts = await self.facts_for(at, scope, scope_id, period)
        return [
            figure for quota in quotas for figure in one(quota, version.version, scope, scope_id, period, facts, at)
        ]

    async def facts_for(self, at: Snapshot, scope: ScopeKind, scope_id: str, period: Period) -> Facts:
        """Return everything that may count for a scope's figures."""
        return await self.store.load(at.conn, await self.people_of(at, scope, scope_id, period), period)

    async def people_of(self, at: Snapshot, scope: ScopeKind, scope_id: str, period: Period) -> Collection[str]:
        """Return whose work a scope's figures are made of."""
        if scope == "person":
            return [scope_id]
        if scope == "pair":
            return scope_id.split("+", 1)
        if scope == "unit":
            return at.roster.organisation.members(scope_id, period)
        platform, _, handle = scope_id.partition("/")
        return await users_of(at.conn, (platform, handle))

    async def of_people(
        self, at: Snapshot, scope: ScopeKind, period: Period, people: Collection[str] | None
    ) -> list[Attainment]:
        """Return every row of a scope; `people` keeps what concerns these people only (None: everybody)."""
        version = for_period(at.policies, period)
        if version is None:
            return []
        everybody = people is None or scope in ("account", "pair")
        wanted = await active_in(at.conn, period) if everybody else list(people or ())
        facts = await self.store.load(at.conn, wanted, period)
        kept = None if people is None else set(people)
        organisation = at.roster.organisation
        return list(figures(version.active, scope, period, facts, organisation, at.today, version.version, kept))


def one(
    quota: Quota, version: int, scope: ScopeKind, scope_id: str, period: Period, facts: Facts, at: Snapshot
) -> Iterable[Attainment]:
    """Yield a quota's figure for one id; of a person's quota an account has a row for each owner or user."""
    organisation = at.roster.organisation
    if scope != "account" or quota.scope == "account":
        yield attain(quota, scope, scope_id, period, facts, organisation, at.today, version=version)
        return
    platform, _, handle = scope_id.partition("/")
    entry = at.roster.accounts.get((platform, handle))
    people = set(facts.by_person) | ({entry.owner} if entry and entry.owner else set())
    for person in sorted(people):
        row = attain(quota, "account", scope_id, period, facts, organisation, at.today, version=version, person=person)
        if row.done or row.due:
            yield row


def _has(quota: Quota, scope: ScopeKind, period: Period) -> bool:
    return scope in scopes(quota) and period.kind in periods(quota)
