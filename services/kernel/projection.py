"""Projections: folds of ledgers into rows, each with a checkpoint that moves in the same transaction as its rows.

A projection's tables live in a schema of its own per version, so that a rebuild stands beside the live one. Reading
and applying are `Projector`'s; here are the protocol, the registry of versions and reading in one snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from services.kernel.clock import monotonic
from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection, Database, fetch_one
from services.kernel.errors import Refusal, Unavailable


class Projection(Protocol):
    """A fold. `apply` gets commits of one ledger, ascending, and must give the same rows for any interleaving of
    ledgers. `ordered`: an event that cannot be applied holds the rest of its `subject_of`; otherwise itself only."""

    name: str
    ledgers: tuple[str, ...]
    ordered: bool

    async def create(self, conn: Connection) -> None:
        """Create the tables, by unqualified names."""

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        """Fold the commits into the rows; may be called again with the same commits after a rollback."""

    def subject_of(self, event: Envelope) -> str | None:
        """Return what must stay in order with this event."""

    def forget(self) -> None:
        """Drop what is cached in memory: the rows may have been changed by somebody else, or rolled back."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a version of a projection has folded a ledger."""

    ledger: str
    ledger_id: str | None
    epoch: int
    number: int
    hash: bytes | None


def schema_of(projection: str, version: int) -> str:
    """Return the Postgres schema that a version's tables live in."""
    return f"p_{projection}_{version}"


async def set_path(conn: Connection, schemas: Iterable[str]) -> None:
    """Make the schemas' tables visible under their own names until the transaction ends."""
    await conn.execute("SELECT set_config('search_path', $1, true)", ", ".join([*schemas, "public"]))


async def register(db: Database, projection: Projection) -> int:
    """Create the projection's first version where it has none; add ledgers it newly reads. Returns the live one."""
    async with db.tx() as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"register {projection.name}")
        live = await conn.fetchval("SELECT live_version FROM projection WHERE name = $1", projection.name)
        if live is None:
            live = 1
            await conn.execute("INSERT INTO projection VALUES ($1, 1, 2)", projection.name)
            await create_version(conn, projection, 1)
        await add_checkpoints(conn, projection, int(live))
    return int(live)


async def create_version(conn: Connection, projection: Projection, version: int) -> None:
    """Create the schema, tables and checkpoints of a version."""
    schema = schema_of(projection.name, version)
    await conn.execute(f'CREATE SCHEMA "{schema}"')
    await set_path(conn, [schema])
    await projection.create(conn)
    await set_path(conn, [])
    await add_checkpoints(conn, projection, version)


async def add_checkpoints(conn: Connection, projection: Projection, version: int) -> None:
    await conn.executemany(
        "INSERT INTO checkpoint (projection, version, ledger) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        [(projection.name, version, ledger) for ledger in projection.ledgers],
    )


async def read_checkpoint(conn: Connection, projection: str, version: int, ledger: str) -> Checkpoint:
    row = await fetch_one(
        conn,
        "SELECT ledger, ledger_id, epoch, number, hash FROM checkpoint"
        " WHERE projection = $1 AND version = $2 AND ledger = $3",
        projection, version, ledger,
    )  # fmt: skip
    return Checkpoint(**dict(row))


@asynccontextmanager
async def reading(db: Database, *projections: str) -> AsyncIterator[tuple[Connection, dict[str, int]]]:
    """A read-only snapshot of the live versions: (connection, ledger -> number folded, the least of several)."""
    async with db.tx("repeatable_read", readonly=True) as conn:
        rows = await conn.fetch(
            "SELECT p.name, p.live_version, c.ledger, c.number FROM projection p JOIN checkpoint c"
            " ON c.projection = p.name AND c.version = p.live_version WHERE p.name = ANY($1)",
            projections,
        )
        versions = {row["name"]: row["live_version"] for row in rows}
        positions: dict[str, int] = {}
        for row in rows:
            positions[row["ledger"]] = min(row["number"], positions.get(row["ledger"], row["number"]))
        await set_path(conn, [schema_of(name, versions[name]) for name in projections])
        yield conn, positions


async def wait_or_refuse(
    db: Database,
    projections: Sequence[str],
    at_least: dict[str, int],
    head: Callable[[str], Awaitable[int]],
    timeout: float = 5.0,
) -> None:
    """`wait_for`, and a position that the ledger's owner has not reached is refused (400 `position_beyond_head`)."""
    try:
        await wait_for(db, projections, at_least, timeout)
    except Unavailable:
        for ledger, number in at_least.items():
            try:
                reached = await head(ledger)
            except (OSError, KeyError):
                continue
            if number > reached:
                raise Refusal(
                    "position_beyond_head",
                    f"{ledger} ends at {reached}, there is no {number}",
                    field="at_least",
                    remedy="Use a position that an answer of this system gave.",
                ) from None
        raise


class Wakes(Protocol):
    """What knows of moves of the checkpoints without asking the database (`progress.Progress`)."""

    moves: int

    async def reaches(self, missing: Mapping[str, int], since: int, pause: float) -> None:
        """Return when it is worth looking again."""


async def wait_for(
    db: Database,
    projections: Sequence[str],
    at_least: dict[str, int],
    timeout: float = 5.0,
    progress: Wakes | None = None,
) -> None:
    """Wait until the live versions have folded at least these positions, and those that their commits rested on.

    Ledgers that the projections do not read are ignored. Raises Unavailable `not_yet_applied` after `timeout`
    seconds; whether a position exists at all is the caller's question (`wait_or_refuse`). Polls, unless `progress`
    knows when this process has moved.
    """
    grounds: dict[str, tuple[int, int]] = {}  # ledger -> (epoch, number) that the commits asked for rested on
    deadline = monotonic() + timeout
    pause = 0.002
    while at_least:
        since = progress.moves if progress is not None else 0
        async with db.conn() as conn:
            rows = await conn.fetch(
                "SELECT c.ledger, c.epoch, c.number, c.rests_on::text FROM projection p"
                " JOIN checkpoint c ON c.projection = p.name AND c.version = p.live_version WHERE p.name = ANY($1)",
                projections,
            )
        for row in rows:
            if row["ledger"] in at_least or row["ledger"] in grounds:
                for ledger, at in _rests_on.decode(row["rests_on"]).items():
                    grounds[ledger] = max(at, grounds.get(ledger, at))
        missing = _missing(rows, at_least, grounds)
        if not missing:
            return
        if monotonic() > deadline:
            raise Unavailable("not_yet_applied", f"not folded yet: {missing}", "Ask again, or without at_least.")
        if progress is not None:
            await progress.reaches(missing, since, pause)
        else:
            await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def _missing(rows: Iterable[Any], at_least: dict[str, int], grounds: dict[str, tuple[int, int]]) -> dict[str, int]:
    """Return ledger -> number that the checkpoints have yet to reach, of those asked for and of their grounds."""
    missing: dict[str, int] = {}
    for row in rows:
        ledger, asked = row["ledger"], at_least.get(row["ledger"], 0)
        epoch, ground = grounds.get(ledger, (0, 0))
        if row["epoch"] > epoch:  # what was rested on may have been given up with its epoch
            ground = 0
        if row["number"] < max(asked, ground):
            missing[ledger] = max(asked, ground)
    return missing


_rests_on = msgspec.json.Decoder(dict[str, tuple[int, int]])
