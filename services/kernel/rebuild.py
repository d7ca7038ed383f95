"""Rebuilds a projection beside the live version, compares the two at the same positions, and switches.

The same code must give the same rows, or the switch is refused; new code needs `accept`. Reads go on from the live
version all the while; the version before is kept for undo. Nothing is emitted: a rebuild leaves no to-do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.kernel.clock import monotonic
from services.kernel.database import Connection, Database
from services.kernel.errors import Refusal
from services.kernel.projection import Checkpoint, Projection, create_version, read_checkpoint, schema_of, set_path
from services.kernel.projector import Projector, Reader
from services.kernel.reader import StreamReader

log = logging.getLogger("opsledger.kernel")

FLUSH = 256  # commits a transaction: large, since nobody waits for a single one
COMPARE_SECONDS = 3600.0  # for one statement of the comparison: it reads whole tables
SHOWN = 50  # differing rows a table that are listed
Progress = Callable[[int, int], None]  # (commits folded, commits to fold)


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that only one of the two versions has."""

    table: str
    side: str  # "live" | "rebuilt"
    row: dict[str, Any]


@dataclass(slots=True)
class Report:
    """What a rebuild found; `positions` are those at which the versions were compared."""

    projection: str
    live: int
    rebuilt: int
    positions: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    commits: int = 0
    seconds: float = 0.0
    switched: bool = False


async def rebuild(
    db: Database,
    projection: Projection,
    reader: Reader,
    *,
    progress: Progress | None = None,
    switch: bool = True,
    accept: bool = False,
    keep: bool = False,
    flush: int = FLUSH,
) -> Report:
    """Fold the projection's ledgers anew beside the live version and compare; switch where allowed.

    `projection` must be an instance of its own (its caches are not the live one's). `switch=False` only compares and
    drops the scratch version (`keep` leaves it). Raises Refusal `rebuild_running` when one is under way.
    """
    started = monotonic()
    lock = await db.dedicated()
    try:
        if not await lock.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", f"rebuild {projection.name}"):
            raise Refusal("rebuild_running", f"{projection.name} is being rebuilt", status=409, remedy="Wait for it.")
        report = await _prepare(db, projection)
        folder = _Folder(db, projection, reader, report, flush, progress)
        try:
            await folder.catch_up()
            await _settle(db, projection, folder, report, switch=switch, accept=accept)
        finally:
            await folder.close()
            if not report.switched and not keep:
                await _drop(db, projection.name, report.rebuilt)
        report.seconds = monotonic() - started
        return report
    finally:
        lock.terminate()


async def start_over(db: Database, projection: Projection, reader: Reader) -> Report:
    """Fold a ledger's new epoch from the beginning: the rows of the former one are not compared."""
    return await rebuild(db, projection, reader, accept=True)


async def undo(db: Database, projection: str) -> int:
    """Make the version before the live one live again; it catches up by itself. Returns the version."""
    async with db.tx() as conn:
        live = await conn.fetchval("SELECT live_version FROM projection WHERE name = $1 FOR UPDATE", projection)
        before = await conn.fetchval(
            "SELECT max(version) FROM checkpoint WHERE projection = $1 AND version < $2", projection, live
        )
        if before is None:
            raise Refusal("nothing_to_undo", f"{projection} has no earlier version", status=409)
        await conn.execute("UPDATE projection SET live_version = $2 WHERE name = $1", projection, before)
    return int(before)


async def _prepare(db: Database, projection: Projection) -> Report:
    """Make the scratch version; what a killed rebuild has left (its lock is ours now) or an undo has left goes."""
    async with db.conn() as conn:
        left = await conn.fetch(
            "SELECT DISTINCT c.version FROM checkpoint c JOIN projection p ON p.name = c.projection"
            " WHERE p.name = $1 AND c.version > p.live_version",
            projection.name,
        )
    for version in [row["version"] for row in left]:
        await _drop(db, projection.name, version)
    async with db.tx() as conn:
        row = await conn.fetchrow(
            "UPDATE projection SET next_version = next_version + 1 WHERE name = $1"
            " RETURNING live_version, next_version - 1 AS version",
            projection.name,
        )
        if row is None:
            raise Refusal("unknown_projection", f"there is no projection {projection.name}", status=404)
        await create_version(conn, projection, row["version"])
    return Report(projection.name, row["live_version"], row["version"])


class _Folder:
    """Folds the ledgers into the scratch version, up to where the live one is."""

    def __init__(
        self,
        db: Database,
        projection: Projection,
        reader: Reader,
        report: Report,
        flush: int,
        progress: Progress | None,
    ) -> None:
        self.db = db
        self.report = report
        self._projector = Projector(db, projection, reader, live=False)
        self._readers: dict[str, StreamReader] = {ledger: reader(ledger) for ledger in projection.ledgers}
        self._checkpoints: dict[str, Checkpoint] = {}
        self._flush = flush
        self._progress = progress

    async def close(self) -> None:
        for reader in self._readers.values():
            await reader.close()

    async def live_positions(self, conn: Connection) -> dict[str, int]:
        rows = await conn.fetch(
            "SELECT ledger, number FROM checkpoint WHERE projection = $1 AND version = $2",
            self.report.projection, self.report.live,
        )  # fmt: skip
        return {row["ledger"]: row["number"] for row in rows}

    async def catch_up(self) -> None:
        """Fold until nothing is left of what the live version had when asked last."""
        while True:
            async with self.db.conn() as conn:
                targets = await self.live_positions(conn)
            before = self.report.commits
            await self.fold_to(targets)
            if self.report.commits - before < self._flush:
                return

    async def fold_to(self, targets: dict[str, int]) -> None:
        """Fold each ledger exactly up to its target (a ledger whose epoch ended earlier: up to its head)."""
        for ledger, reader in self._readers.items():
            if ledger not in self._checkpoints:
                async with self.db.conn() as conn:
                    first = await read_checkpoint(conn, self.report.projection, self.report.rebuilt, ledger)
                self._checkpoints[ledger] = first
                await reader.seek(first.number)
            silent = 0
            while (at := self._checkpoints[ledger].number) < targets[ledger]:
                commits = await reader.take(min(self._flush, targets[ledger] - at), 1.0)
                if not commits:
                    silent += 1
                    if reader.head <= at and silent > 2:
                        break
                    if silent > 30:
                        raise OSError(f"{ledger}: nothing more came after {at} of {targets[ledger]}")
                    continue
                silent = 0
                self._checkpoints[ledger] = await self._projector.flush(
                    self.report.rebuilt, self._checkpoints[ledger], commits
                )
                self.report.commits += len(commits)
                if self._progress is not None:
                    done = sum(c.number for c in self._checkpoints.values())
                    self._progress(done, max(done, sum(targets.values())))

    @property
    def positions(self) -> dict[str, int]:
        return {ledger: checkpoint.number for ledger, checkpoint in self._checkpoints.items()}


async def _settle(
    db: Database, projection: Projection, folder: _Folder, report: Report, *, switch: bool, accept: bool
) -> None:
    """Compare at equal positions with the live version held still; switch if equal or accepted."""
    async with db.tx() as still:  # no flush of the live version commits while this lock is held
        await still.execute("SELECT 1 FROM projection WHERE name = $1 FOR NO KEY UPDATE", report.projection)
        await _fold_the_rest(folder, still)
        report.positions = folder.positions
        report.differences = await _differences(still, projection, report)
        if not switch or (report.differences and not accept):
            return
        await still.execute(
            "UPDATE projection SET live_version = $2, state = 'running', detail = NULL WHERE name = $1",
            report.projection, report.rebuilt,
        )  # fmt: skip
        report.switched = True
    await _drop_older(db, report)


async def _fold_the_rest(folder: _Folder, still: Connection) -> None:
    targets = await folder.live_positions(still)
    async with asyncio.timeout(60):
        await folder.fold_to(targets)


def _queries(projection: Projection, tables: list[str]) -> dict[str, str]:
    """What is compared: the projection's own questions, or every table whole."""
    own: dict[str, str] | None = getattr(projection, "comparable", None)
    return own if own is not None else {table: f'SELECT * FROM "{table}"' for table in tables}


async def _differences(conn: Connection, projection: Projection, report: Report) -> list[Difference]:
    live, rebuilt = schema_of(projection.name, report.live), schema_of(projection.name, report.rebuilt)
    tables = await conn.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = $1", rebuilt)
    found: list[Difference] = []
    for name, query in _queries(projection, [row["table_name"] for row in tables]).items():
        counts: dict[str, str] = {}
        for side, schema in (("live", live), ("rebuilt", rebuilt)):
            await set_path(conn, [schema])
            create = f'CREATE TEMP TABLE "compare_{side}" ON COMMIT DROP AS {query}'
            counts[side] = await conn.execute(create, timeout=COMPARE_SECONDS)  # "SELECT 4711"
        for side, other in (("live", "rebuilt"), ("rebuilt", "live")):
            rows = await conn.fetch(
                f'SELECT * FROM "compare_{side}" EXCEPT ALL SELECT * FROM "compare_{other}" LIMIT {SHOWN}'
                f" -- {name}",  # a text of its own: a prepared statement keeps the columns of its first table
                timeout=COMPARE_SECONDS,
            )
            found += [Difference(name, side, _shown(projection, name, dict(row))) for row in rows]
            if not rows and counts[side] == counts[other]:
                break  # as many rows, each of them there: the other way round would find nothing
        await conn.execute('DROP TABLE "compare_live", "compare_rebuilt"')
    await set_path(conn, [])
    return found


def _shown(projection: Projection, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return what a report says of a row: nothing of tables that the projection names `private`."""
    private: frozenset[str] = getattr(projection, "private", frozenset())
    return dict.fromkeys(row, "not shown") if table in private else row


async def _drop_older(db: Database, report: Report) -> None:
    """Keep the live version and the one before it."""
    async with db.conn() as conn:
        rows = await conn.fetch(
            "SELECT DISTINCT version FROM checkpoint WHERE projection = $1 AND version < $2",
            report.projection, report.live,
        )  # fmt: skip
    for row in rows:
        await _drop(db, report.projection, row["version"])


async def _drop(db: Database, projection: str, version: int) -> None:
    with contextlib.suppress(OSError):
        async with db.tx() as conn:
            await conn.execute(f'DROP SCHEMA IF EXISTS "{schema_of(projection, version)}" CASCADE')
            await conn.execute("DELETE FROM checkpoint WHERE projection = $1 AND version = $2", projection, version)
            await conn.execute("DELETE FROM hold WHERE projection = $1 AND version = $2", projection, version)
