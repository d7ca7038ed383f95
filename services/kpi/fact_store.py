"""Series of whole months, read from the projection "facts" in one snapshot and remembered until they change.

What is remembered is checked against the projection's own revisions in every snapshot, so an answer never mixes states.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from datetime import date

from services.kernel.database import Connection
from services.kpi.facts import Account, Facts, Period, Series, period_of

Month = int  # ordinal of its first day
Revision = int  # 0: nothing was ever recorded

_SERIES = """
SELECT s.person, date_trunc('month', f.day)::date AS month,
    s.type, s.platform, nullif(s.account, '') AS account, s.on_topic, nullif(s.form, '') AS form,
    nullif(s.counterpart, '') AS counterpart, nullif(s.campaign, '') AS campaign,
    array_agg(f.day - date '0001-01-01' + 1 ORDER BY f.day) AS days,
    array_agg(f.quantity ORDER BY f.day) AS quantities,
    sum(f.events)::bigint AS events, max(f.last_commit) AS last_commit
FROM series s JOIN day_fact f ON f.series = s.id
WHERE s.person = ANY($1) AND f.day BETWEEN $2 AND $3 AND f.quantity > 0
GROUP BY s.id, month
"""
_REVISIONS = "SELECT person, month, revision FROM touched WHERE person = ANY($1) AND month = ANY($2)"


class FactStore:
    """Series by (person, month), bounded by their number."""

    def __init__(self, capacity: int = 300_000) -> None:
        self._capacity = capacity
        self._size = 0
        self._version = 0
        self._known: OrderedDict[tuple[str, Month], tuple[Revision, list[Series]]] = OrderedDict()

    async def revisions(self, conn: Connection, people: Collection[str], period: Period) -> dict[tuple[str, int], int]:
        """Return (person, month) -> the last commit that touched it, for the months of a period."""
        months = [date.fromordinal(month) for month in months_of(period)]
        rows = await conn.fetch(_REVISIONS, list(people), months)
        return {(row[0], row[1].toordinal()): row[2] for row in rows}

    async def load(self, conn: Connection, version: int, people: Collection[str], period: Period) -> Facts:
        """Return everything that these people did in the months that the period touches.

        `version` is the live one of the projection in the snapshot that `conn` reads.
        """
        if version != self._version:
            self._known.clear()
            self._size = 0
            self._version = version
        revisions = await self.revisions(conn, people, period)
        found: list[Series] = []
        missing: dict[Month, list[str]] = {}
        for key, revision in revisions.items():
            known = self._known.get(key)
            if known is not None and known[0] == revision:
                self._known.move_to_end(key)
                found.extend(known[1])
            else:
                missing.setdefault(key[1], []).append(key[0])
        for month, persons in missing.items():
            by_person = await _fetch(conn, month, persons)
            for person, series in by_person.items():
                found.extend(series)
                if version == self._version:  # another snapshot may have moved on meanwhile
                    self._remember((person, month), revisions[(person, month)], series)
        return Facts(found, period if period.kind == "month" else None)  # what is kept is whole months

    def _remember(self, key: tuple[str, Month], revision: Revision, series: list[Series]) -> None:
        before = self._known.get(key)
        if before is not None and before[0] > revision:
            return
        self._size += len(series) + 1 - (len(before[1]) + 1 if before else 0)
        self._known[key] = (revision, series)
        self._known.move_to_end(key)
        while self._size > self._capacity and len(self._known) > 1:
            _, (_, dropped) = self._known.popitem(last=False)
            self._size -= len(dropped) + 1


async def _fetch(conn: Connection, month: Month, people: list[str]) -> dict[str, list[Series]]:
    whole = period_of("month", date.fromordinal(month))
    rows = await conn.fetch(_SERIES, people, date.fromordinal(whole.first), date.fromordinal(whole.last))
    by_person: dict[str, list[Series]] = {person: [] for person in people}
    for row in rows:
        by_person[row[0]].append(Series(row[0], *tuple(row)[2:]))
    return by_person


def months_of(period: Period) -> list[Month]:
    """Return the months that share a day with the period."""
    first = period_of("month", date.fromordinal(period.first)).first
    last = period_of("month", date.fromordinal(period.last)).first
    return sorted({first, last})


async def users_of(conn: Connection, account: Account) -> list[str]:
    """Return everybody who ever did something with an account."""
    rows = await conn.fetch(
        "SELECT DISTINCT person FROM series WHERE platform = $1 AND account = $2 ORDER BY person", *account
    )
    return [row[0] for row in rows]


async def active_in(conn: Connection, period: Period) -> list[str]:
    """Return everybody who did something in the months of a period."""
    months = [date.fromordinal(month) for month in months_of(period)]
    rows = await conn.fetch("SELECT DISTINCT person FROM touched WHERE month = ANY($1) ORDER BY person", months)
    return [row[0] for row in rows]
