"""Figures as they stand in one snapshot: which facts a question needs, and the rules' answer to it.

Everything of an answer is read in one transaction, so that figures, organisation and positions fit each other. Must
not decide what counts: that is `rules`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from contracts.kpi import Quota, ScopeKind
from services.kernel import clock
from services.kernel.database import Connection, Database, fetch_one
from services.kernel.projection import reading
from services.kpi.fact_store import FactStore, active_in, users_of
from services.kpi.facts import Facts, Period
from services.kpi.policies import PolicyBook, PolicyVersion, for_period
from services.kpi.roster import Roster, Rosters
from services.kpi.row_cache import Rows
from services.kpi.rules import Attainment, attain
from services.kpi.rules_rows import figures, periods, scopes
from services.kpi.rules_shared import shared_account

PROJECTIONS = ("facts", "org_facts")
_STATE = """
SELECT (SELECT count(*) FROM public.policy) AS policies,
    (SELECT live_version FROM public.projection WHERE name = 'facts') AS facts,
    (SELECT live_version FROM public.projection WHERE name = 'org_facts') AS org_facts,
    (SELECT count(*) FROM public.hold h JOIN public.projection p
        ON p.name = h.projection AND p.live_version = h.version WHERE p.name IN ('facts', 'org_facts')) AS held
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of everything that figures are made of. Valid while its transaction lives."""

    conn: Connection
    positions: dict[str, int]
    as_of: datetime
    today: date
    roster: Roster
    policies: tuple[PolicyVersion, ...]
    version: int  # of the facts' tables
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
            state = await fetch_one(conn, _STATE)
            roster = await self._rosters.at(conn, state["org_facts"], positions.get("org", 0))
            policies = await self.book.load(conn, state["policies"])
            yield Snapshot(conn, positions, as_of, day, roster, policies, state["facts"], state["held"])

    async def of_one(
        self,
        at: Snapshot,
        scope: ScopeKind,
        scope_id: str,
        period: Period,
        only: str | None = None,
        *,
        rows_only: bool = False,
    ) -> list[Attainment]:
        """Return the figures of one person, account, pair or unit; `only` names one quota.

        `rows_only` leaves out what has no row in a table: nothing done, and nobody bound (handbook, "Dues").
        """
        version = for_period(at.policies, period)
        if version is None:
            return []
        quotas = [quota for quota in version.active if _has(quota, scope, period) and only in (None, quota.id)]
        facts = await self.facts_for(at, scope, scope_id, period)
        found = [(quota, one(quota, version.version, scope, scope_id, period, facts, at)) for quota in quotas]
        return [figure for quota, figure in found if not rows_only or has_row(quota, figure, period, at)]

    async def facts_for(self, at: Snapshot, scope: ScopeKind, scope_id: str, period: Period) -> Facts:
        """Return everything that may count for a scope's figures."""
        return await self.store.load(at.conn, at.version, await self.people_of(at, scope, scope_id, period), period)

    async def people_of(self, at: Snapshot, scope: ScopeKind, scope_id: str, period: Period) -> Collection[str]:
        """Return whose work a scope's figures are made of."""
        if scope == "person":
            return [scope_id]
        if scope == "pair":
            return scope_id.split("+", 1)
        if scope == "unit":
            return at.roster.organisation.members(scope_id, period)
        platform, _, handle = scope_id.partition("/")
        entry = at.roster.accounts.get((platform, handle))
        owner = {entry.owner} if entry and entry.owner else set()
        return owner | set(await users_of(at.conn, (platform, handle)))

    async def of_people(
        self, at: Snapshot, scope: ScopeKind, period: Period, people: Collection[str] | None
    ) -> list[Attainment]:
        """Return every row of a scope; `people` keeps what concerns these people only (None: everybody)."""
        version = for_period(at.policies, period)
        if version is None:
            return []
        everybody = people is None or scope in ("account", "pair")
        wanted = await active_in(at.conn, period) if everybody else list(people or ())
        facts = await self.store.load(at.conn, at.version, wanted, period)
        kept = None if people is None else set(people)
        organisation = at.roster.organisation
        rows = figures(version.active, scope, period, facts, organisation, at.today, version.version, kept)
        if scope != "account":
            return list(rows)
        merged = dict.fromkeys((row.quota, row.id) for row in rows)
        return [
            one(quota, version.version, scope, scope_id, period, facts, at)
            for name, scope_id in merged
            if (quota := version.quota(name)) is not None
        ]


def one(
    quota: Quota, version: int, scope: ScopeKind, scope_id: str, period: Period, facts: Facts, at: Snapshot
) -> Attainment:
    """Return a quota's figure for one id; of a person's quota an account's is the sum over its owner and users."""
    organisation = at.roster.organisation
    if scope != "account" or quota.scope == "account":
        return attain(quota, scope, scope_id, period, facts, organisation, at.today, version=version)
    people = users(scope_id, facts, at)
    return shared_account(quota, scope_id, people, period, facts, organisation, at.today, version)


def users(account_id: str, facts: Facts, at: Snapshot) -> list[str]:
    """Return who may have a part in an account's figure: its owner, and everybody who used it."""
    platform, _, handle = account_id.partition("/")
    account = (platform, handle)
    entry = at.roster.accounts.get(account)
    found = {series.person for kinds in facts.by_account.get(account, {}).values() for series in kinds}
    return sorted(found | ({entry.owner} if entry and entry.owner else set()))


def has_row(quota: Quota, figure: Attainment, period: Period, at: Snapshot) -> bool:
    if figure.done or figure.due or figure.scope == "unit":
        return True
    return figure.scope == "person" and figure.id in at.roster.organisation.masks_in(tuple(quota.binding.units), period)


def _has(quota: Quota, scope: ScopeKind, period: Period) -> bool:
    return scope in scopes(quota) and period.kind in periods(quota)
