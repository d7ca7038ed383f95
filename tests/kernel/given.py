"""A small context to test the kernel with: counters that are raised, a projection that sums them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import asyncpg
from nats.aio.client import Client
from pydantic import BaseModel

from services.kernel.archive import read_commits
from services.kernel.broker import connect
from services.kernel.codec import Commit, Envelope
from services.kernel.committer import Committed, GroupCommitter
from services.kernel.database import Connection, Database
from services.kernel.errors import VersionConflict
from services.kernel.ledger import Ledger, Work
from services.kernel.projection import reading
from services.kernel.projector import Projector
from services.kernel.reader import StreamReader
from services.kernel.relay import Relay
from services.kernel.schema import KERNEL_SQL

CONTEXT = "org"  # a context that the broker's users know


class Raised(BaseModel):
    event_type: ClassVar[str] = "test.raised.v1"
    counter: str
    by: int
    note: str = ""


class Totals:
    """Sum per counter; a raise by 13 cannot be applied, wherever it stands."""

    def __init__(self, ledgers: tuple[str, ...] = (CONTEXT,), ordered: bool = False) -> None:
        self.name = "totals"
        self.ledgers = ledgers
        self.ordered = ordered
        self.poison: int | None = 13
        self.factor = 1

    async def create(self, conn: Connection) -> None:
        await conn.execute("CREATE TABLE total (counter text PRIMARY KEY, sum bigint NOT NULL, events int NOT NULL)")

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        for commit in commits:
            for event in commit.events():
                raised = Raised.model_validate_json(bytes(event.data))
                if raised.by == self.poison:
                    raise ValueError("thirteen")
                await conn.execute(
                    "INSERT INTO total VALUES ($1, $2, 1) ON CONFLICT (counter)"
                    " DO UPDATE SET sum = total.sum + excluded.sum, events = total.events + 1",
                    raised.counter,
                    raised.by * self.factor,
                )

    def subject_of(self, event: Envelope) -> str | None:
        return Raised.model_validate_json(bytes(event.data)).counter

    def forget(self) -> None:
        pass


@dataclass
class Context:
    """One process's worth of kernel parts on given infrastructure."""

    db: Database
    nc: Client
    ledger: Ledger
    committer: GroupCommitter
    relays: list[Relay]
    projector: Projector | None = None
    extra: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def raise_(self, counter: str, by: int, note: str = "") -> Committed[int]:
        async def decide(work: Work) -> int:
            version = await work.version(counter)
            work.append(counter, version, [Raised(counter=counter, by=by, note=note)])
            return version + 1

        for _ in range(20):
            try:
                return await self.committer.submit(decide)
            except VersionConflict:
                continue
        raise AssertionError("always a conflict")

    async def commits(self, ledger: str = CONTEXT) -> list[Commit]:
        return await read_commits(self.db, ledger, 0, 10_000)

    async def totals(self) -> dict[str, int]:
        async with reading(self.db, "totals") as (conn, _):
            return {row["counter"]: row["sum"] for row in await conn.fetch("SELECT * FROM total")}

    async def follow(self, projection: Totals | None = None, fetch: bool = True) -> Projector:
        async def owner(ledger: str, after: int, limit: int) -> list[Commit]:
            return await read_commits(self.db, ledger, after, limit)

        self.projector = Projector(
            self.db, projection or Totals(), lambda name: StreamReader(self.nc, name, owner if fetch else None)
        )
        await self.projector.start()
        return self.projector

    def reader(self, ledger: str) -> StreamReader:
        async def owner(name: str, after: int, limit: int) -> list[Commit]:
            return await read_commits(self.db, name, after, limit)

        return StreamReader(self.nc, ledger, owner)

    async def close(self) -> None:
        if self.projector is not None:
            await self.projector.stop()
        for relay in self.relays:
            await relay.stop()
        await self.committer.stop()
        await self.nc.close()
        await self.db.close()


async def create_schema(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(KERNEL_SQL)
    finally:
        await conn.close()


async def open_context(dsn: str, server: object, *, relay: bool = True, limit: int = 512 * 1024) -> Context:
    """Open the parts on a database whose schema exists, and a NATS server (fixture nats_server)."""
    db = await Database.open(dsn)
    user = "org"
    nc = await connect(server.url, user, server.users[user], name="test")  # type: ignore[attr-defined]
    ledger = Ledger(db, CONTEXT, limit=limit)
    await ledger.open()
    relays = [Relay(ledger, name, nc) for name in ledger.names] if relay else []
    if not relay:
        ledger.refusals.clear()
    committer = GroupCommitter(ledger)
    await committer.start()
    for one in relays:
        await one.start()
    return Context(db, nc, ledger, committer, relays)
