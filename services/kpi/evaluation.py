"""Which figures have to be looked at again, and the look itself: the reaction that keeps alerts true.

A (person, month) is due while what it was last evaluated under (facts, organisation, policies, local day) differs from
what stands. That comparison is the to-do: it is made by the projections' own transactions and lost by no crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from contracts.kpi import Quota
from services.kernel.database import Connection
from services.kpi.facts import Facts, Period, period_of, periods_touching
from services.kpi.figures import Figures, Snapshot, one
from services.kpi.policies import PolicyVersion, for_period
from services.kpi.rules import Attainment
from services.kpi.rules_due import group_due
from services.kpi.rules_rows import pair_id

BATCH = 8  # people of one month that are evaluated together
GULP = 8  # figures that are computed without letting others run


@dataclass(frozen=True, slots=True)
class Stamp:
    """Everything that a person's figures of a month depend on. `day`: None once the month is settled for good."""

    facts: int
    org: int
    policies: int
    day: date | None


@dataclass(frozen=True, slots=True)
class Due:
    """People whose figures of a month have to be looked at, with the stamp to note afterwards."""

    month: Period
    people: dict[str, Stamp]


_DUE = """
WITH stamp AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS s (person, org)),
wanted AS (
    SELECT person, month, revision FROM touched
    UNION ALL
    SELECT s.person, m.month, 0 FROM stamp s CROSS JOIN unnest($3::date[]) AS m (month)
    WHERE NOT EXISTS (SELECT 1 FROM touched t WHERE t.person = s.person AND t.month = m.month)
),
stands AS (
    SELECT w.person, w.month, w.revision AS facts, coalesce(s.org, $4) AS org, $5::int AS policies,
        least($6::date, (w.month + interval '1 month')::date) AS day
    FROM wanted w LEFT JOIN stamp s USING (person)
)
SELECT n.* FROM stands n LEFT JOIN public.evaluated e USING (person, month)
WHERE (e.facts, e.org, e.policies, e.day) IS DISTINCT FROM (n.facts, n.org, n.policies, n.day)
ORDER BY n.month, n.person
"""
_NOTE = """
INSERT INTO public.evaluated (person, month, facts, org, policies, day)
SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[], $4::bigint[], $5::int[], $6::date[]) ORDER BY 1, 2
ON CONFLICT (person, month) DO UPDATE SET facts = excluded.facts, org = excluded.org, policies = excluded.policies,
    day = excluded.day
"""


async def due(at: Snapshot, *, complete: bool) -> list[Due]:
    """Return what has to be evaluated, oldest month first, in batches."""
    this_month = date.fromordinal(period_of("month", at.today).first)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    people = list(at.roster.people)
    # Compared by the database: nearly nothing is due at any look, and everything was read to find that out, which
    # kept readers waiting for 35 ms with 1,000 people of two months.
    rows = await at.conn.fetch(
        _DUE, people, [at.roster.stamp(person) for person in people], [last_month, this_month],
        at.roster.unit_revision, len(at.policies), _seen(at.today, complete=complete),
    )  # fmt: skip
    by_month: dict[date, dict[str, Stamp]] = {}
    for row in rows:
        by_month.setdefault(row["month"], {})[row["person"]] = Stamp(*tuple(row)[2:])
    return [batch for month, stamps in by_month.items() for batch in _batches(month, stamps)]


def _seen(today: date, *, complete: bool) -> date:
    """Return what an evaluation notes as its day, at the latest: a month that is over is settled the day after it.

    Weeks that cross into the next month are settled with it. Before all inputs are applied, a day is noted as the
    one before, so that it is looked at once more.
    """
    return today if complete else today - timedelta(days=1)


def _batches(month: date, people: dict[str, Stamp]) -> Iterator[Due]:
    names = list(people)
    for start in range(0, len(names), BATCH):
        chosen = names[start : start + BATCH]
        yield Due(period_of("month", month), {name: people[name] for name in chosen})


async def note(conn: Connection, batch: Due) -> None:
    """Remember under what the batch was evaluated."""
    month = date.fromordinal(batch.month.first)
    rows = [(person, month, s.facts, s.org, s.policies, s.day) for person, s in batch.people.items()]
    await conn.execute(_NOTE, *zip(*rows, strict=True))


async def look(figures: Figures, at: Snapshot, batch: Due) -> list[Attainment]:
    """Return the figures of the batch's people, of their accounts, pairs and units, for every period of the month."""
    month = batch.month
    first, last = date.fromordinal(month.first), date.fromordinal(month.last)
    found: list[Attainment] = []
    for period in (month, *periods_touching("week", first, last)):
        version = for_period(at.policies, period)
        quotas = [q for q in version.active if q.period == period.kind and q.target is not None] if version else []
        if version is not None and quotas:
            found += await _of_period(figures, at, period, version, quotas, batch.people)
    return found


async def _of_period(
    figures: Figures, at: Snapshot, period: Period, version: PolicyVersion, quotas: list[Quota], people: Iterable[str]
) -> list[Attainment]:
    """Read everything that the figures need at once, then let the rules answer one by one."""
    mine = await figures.store.load(at.conn, at.version, list(people), period)
    found = [(quota, scope_id) for quota in quotas for scope_id in await _ids(at, quota, period, people, mine)]
    needed = set(people)
    for quota, scope_id in found:
        if quota.scope in ("pair", "unit"):
            needed |= set(await figures.people_of(at, quota.scope, scope_id, period))
    needed |= await _users(at, [scope_id for quota, scope_id in found if quota.scope == "account"])
    facts = await figures.store.load(at.conn, at.version, needed, period)
    rows: list[Attainment] = []
    for quota, scope_id in found:
        rows.append(one(quota, version.version, quota.scope, scope_id, period, facts, at))
        if len(rows) % GULP == 0:
            await asyncio.sleep(0)  # projections and readers of this process go first
    return [figure for figure in rows if figure.due]


async def _ids(at: Snapshot, quota: Quota, period: Period, people: Iterable[str], facts: Facts) -> list[str]:
    """Return the ids of the quota's scope whose figures the people's work enters."""
    if quota.scope == "person":
        bound = at.roster.organisation.masks_in(tuple(quota.binding.units), period)
        return [person for person in people if person in bound]
    if quota.scope == "unit":
        above = {unit for person in people for chain in _units(at, person, period) for unit in chain}
        return sorted(unit for unit in above if group_due(quota, unit, period, at.roster.organisation).amount)
    types = {name for selector in (quota.selector, *quota.also) for name in selector.types}
    chosen = [
        each
        for person in people
        for name, series in facts.by_person.get(person, {}).items()
        if name in types
        for each in series
    ]
    if quota.scope == "pair":
        ids = {pair_id(each.person, each.counterpart) for each in chosen if each.counterpart is not None}
        return sorted(ids | await _pairs(at.conn, people, types, period))
    platform = quota.measure.accounts_platform
    owned = {account for person in people for account in at.roster.owned.get(person, ()) if account[0] == platform}
    used = {(each.platform, each.account) for each in chosen if each.account is not None}
    return sorted(f"{word}/{handle}" for word, handle in owned | used)


async def _pairs(conn: Connection, people: Iterable[str], types: Iterable[str], period: Period) -> set[str]:
    """Return the pairs in which one of the people named somebody in the period or was named, even if all is voided."""
    rows = await conn.fetch(
        "SELECT DISTINCT s.person, s.counterpart FROM series s JOIN day_fact f ON f.series = s.id"
        " WHERE (s.person = ANY($1) OR s.counterpart = ANY($1)) AND s.counterpart <> '' AND s.type = ANY($2)"
        " AND f.day BETWEEN $3 AND $4",
        list(people), list(types), date.fromordinal(period.first), date.fromordinal(period.last),
    )  # fmt: skip
    return {pair_id(row[0], row[1]) for row in rows}


async def _users(at: Snapshot, accounts: list[str]) -> set[str]:
    """Return the owners of these accounts, and everybody who used them."""
    if not accounts:
        return set()
    split = [account.split("/", 1) for account in accounts]
    rows = await at.conn.fetch(
        "SELECT DISTINCT s.person FROM series s"
        " JOIN unnest($1::text[], $2::text[]) AS a (platform, account) USING (platform, account)",
        [platform for platform, _ in split], [handle for _, handle in split],
    )  # fmt: skip
    entries = [at.roster.accounts.get((platform, handle)) for platform, handle in split]
    return {row[0] for row in rows} | {entry.owner for entry in entries if entry and entry.owner}


def _units(at: Snapshot, person: str, period: Period) -> list[tuple[str, ...]]:
    known = at.roster.people.get(person)
    if known is None:
        return []
    first, last = date.fromordinal(period.first), date.fromordinal(period.last)
    return [
        at.roster.organisation.above(m.unit)
        for m in known.memberships
        if m.since <= last and (m.until is None or m.until >= first)
    ]
