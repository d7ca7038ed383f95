"""Aggregates' versions: what makes concurrent decisions on one aggregate a coded conflict."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from services.kernel.database import Connection
from services.kernel.errors import VersionConflict


async def write_aggregates(conn: Connection, ref: int, versions: Sequence[tuple[str, int]]) -> None:
    """Move each aggregate from the version before its first event to its last; VersionConflict if one has moved."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for aggregate, version in versions:
        first.setdefault(aggregate, version)
        last[aggregate] = version
    names = sorted(first)
    rows = await conn.fetch("SELECT id, version FROM aggregate WHERE id = ANY($1) ORDER BY id FOR UPDATE", names)
    actual = {row["id"]: row["version"] for row in rows}
    for name in names:
        if actual.get(name, 0) != first[name] - 1:
            raise VersionConflict(name, first[name] - 1, actual.get(name, 0))
    await conn.execute(
        "INSERT INTO aggregate (id, version) SELECT * FROM unnest($1::text[], $2::int[]) AS n (id, version)"
        " ORDER BY id ON CONFLICT (id) DO UPDATE SET version = excluded.version",
        names, [last[n] for n in names],
    )  # fmt: skip
    try:
        await conn.copy_records_to_table(
            "aggregate_event",
            records=[(aggregate, version, ref, position) for position, (aggregate, version) in enumerate(versions)],
            columns=["aggregate", "version", "ref", "position"],
        )
    except asyncpg.UniqueViolationError as error:  # another process created the aggregate in the same moment
        raise VersionConflict(names[0], first[names[0]] - 1, first[names[0]]) from error
