"""Aggregates' versions: what makes concurrent decisions on one aggregate a coded conflict."""

from __future__ import annotations

from collections.abc import Sequence

from services.kernel.database import Connection
from services.kernel.errors import VersionConflict

# One statement a decision: every round trip is held by the whole group. An aggregate moves only from the version before
# the first event to the last; what has moved is in `moved`, and no event is written where any has not.
MOVE = """
WITH asked AS (
    SELECT * FROM unnest($1::text[], $2::int[], $3::int[]) AS a (id, first, last)
), moved AS (
    INSERT INTO aggregate AS a (id, version)
    SELECT id, last FROM asked WHERE first = 1 OR EXISTS (SELECT FROM aggregate e WHERE e.id = asked.id) ORDER BY id
    ON CONFLICT (id) DO UPDATE SET version = excluded.version
    WHERE a.version = (SELECT first - 1 FROM asked WHERE asked.id = a.id)
    RETURNING id
), written AS (
    INSERT INTO aggregate_event (aggregate, version, ref, position)
    SELECT aggregate, version, $4, n - 1
    FROM unnest($5::text[], $6::int[]) WITH ORDINALITY AS e (aggregate, version, n)
    WHERE (SELECT count(*) FROM moved) = (SELECT count(*) FROM asked)
)
SELECT id FROM moved
"""


async def write_aggregates(conn: Connection, ref: int, versions: Sequence[tuple[str, int]]) -> None:
    """Move each aggregate from the version before its first event to its last; VersionConflict if one has moved.

    The caller's savepoint undoes the others then.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for aggregate, version in versions:
        first.setdefault(aggregate, version)
        last[aggregate] = version
    names = sorted(first)
    rows = await conn.fetch(
        MOVE, names, [first[n] for n in names], [last[n] for n in names], ref,
        [aggregate for aggregate, _ in versions], [version for _, version in versions],
    )  # fmt: skip
    moved = {row["id"] for row in rows}
    for name in names:
        if name not in moved:
            actual = await conn.fetchval("SELECT version FROM aggregate WHERE id = $1", name)
            raise VersionConflict(name, first[name] - 1, actual or 0)
