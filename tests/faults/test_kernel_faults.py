"""Faults below the kernel, and its teeth: each promise is checked on the real part and on one broken on purpose.

A check that does not notice the broken part proves nothing; so every check here runs twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

import services.kernel.relay as relay_module
from services.kernel.broker import last_sequence, read_message
from services.kernel.committer import GroupCommitter, _resolve
from services.kernel.database import TRANSIENT
from services.kernel.errors import Unavailable
from services.kernel.poison import apply_or_hold
from services.kernel.projection import read_checkpoint, schema_of, set_path
from services.kernel.projector import Projector
from services.kernel.reader import StreamReader
from services.kernel.relay import Relay
from tests.eventually import eventually
from tests.kernel.given import CONTEXT, Context, Totals, create_schema, open_context

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def context(database, nats_server) -> AsyncIterator[Context]:
    await create_schema(database)
    opened = await open_context(database, nats_server)
    await eventually(lambda: not opened.ledger.refusals)
    yield opened
    await opened.close()


async def stream_faults(context: Context) -> list[str]:
    """What is wrong with the stream: every message must be the commit of its own sequence."""
    faults = []
    commits = {commit.number: commit for commit in await context.commits()}
    for sequence in range(1, (await last_sequence(context.nc, CONTEXT, 1) or 0) + 1):
        message, _ = await read_message(context.nc, CONTEXT, 1, sequence)
        if message is None or message.number != sequence or message.hash != commits[sequence].hash:
            faults.append(f"{sequence} holds {message.number if message else None}")
    return faults


async def two_leaders(context: Context, database, nats_server, monkeypatch) -> list[str]:
    """Let two relays lead at once, as after a lock that was thought held; return what is wrong afterwards."""

    async def always(self: Relay) -> bool:
        return True

    monkeypatch.setattr(Relay, "_leading", always)
    other = await open_context(database, nats_server)
    context.ledger.on_commit(lambda _: other.relays[0]._wake.set())
    try:
        for _ in range(12):
            await asyncio.gather(*(context.raise_(f"c{n}", 1) for n in range(8)))
        head = (await context.ledger.heads())[CONTEXT]

        async def filled() -> bool:
            return (await last_sequence(context.nc, CONTEXT, 1) or 0) >= head

        await eventually(filled, timeout=20)
        await asyncio.sleep(0.3)  # let a doubling relay double
        return await stream_faults(context)
    except Unavailable as refusal:  # the ledger itself has noticed, and stopped
        return [refusal.code]
    finally:
        await other.close()


async def test_two_leading_relays_cannot_double(context, database, nats_server, monkeypatch) -> None:
    assert await two_leaders(context, database, nats_server, monkeypatch) == []


async def test_a_relay_without_the_sequence_header_is_caught(context, database, nats_server, monkeypatch) -> None:
    monkeypatch.setattr(relay_module, "EXPECTED", "X-Not-Checked")
    assert await two_leaders(context, database, nats_server, monkeypatch) != []


@pytest.mark.parametrize("k", [1, 2, 7, 20])
async def test_the_kth_publish_dropped_is_published_again(context: Context, monkeypatch, k: int) -> None:
    monkeypatch.setattr(relay_module, "ACK_TIMEOUT", 1.0)
    js = context.relays[0]._js
    publish, count = js.publish_async, 0

    async def dropping(*args, **kwargs):
        nonlocal count
        count += 1
        if count == k:
            return asyncio.get_running_loop().create_future()  # nothing was sent, no answer will come
        return await publish(*args, **kwargs)

    monkeypatch.setattr(js, "publish_async", dropping)
    await asyncio.gather(*(context.raise_(f"c{n}", 1) for n in range(25)))
    head = (await context.ledger.heads())[CONTEXT]

    async def filled() -> bool:
        return await last_sequence(context.nc, CONTEXT, 1) == head

    await eventually(filled, timeout=20)
    assert await stream_faults(context) == []


class AcknowledgesEarly(GroupCommitter):
    """Broken on purpose: answers before the transaction is durable."""

    async def _commit(self, group) -> None:
        async with self.ledger.db.tx() as conn:
            for pending in group:
                await self._decide(conn, pending)
            drafts = [draft for pending in group for draft in pending.drafts]
            placed = await self.ledger.write(conn, drafts) if drafts else {}
            for pending in group:
                _resolve(pending, placed)
            await asyncio.sleep(0.01)


async def acknowledged_and_lost(context: Context, committer: GroupCommitter) -> set[str]:
    """Raise counters while the database drops connections; return what was acknowledged and is not there."""
    await context.committer.stop()
    context.committer = committer
    await committer.start()
    acknowledged: set[str] = set()
    stop = asyncio.Event()

    async def drop_connections() -> None:
        while not stop.is_set():
            await asyncio.sleep(0.03)
            try:
                async with context.db.conn() as conn:
                    await conn.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%notify%'"
                    )
            except TRANSIENT:
                continue

    async def load(worker: int) -> None:
        for n in range(40):
            note = f"{worker}-{n}"
            try:
                await context.raise_(f"c{worker}", 1, note)
            except (Unavailable, *TRANSIENT):
                continue
            acknowledged.add(note)

    chaos = asyncio.create_task(drop_connections())
    await asyncio.gather(*(load(worker) for worker in range(6)))
    stop.set()
    await chaos
    stored = {bytes(event.data).decode() for commit in await context.commits() for event in commit.events()}
    return {note for note in acknowledged if not any(f'"note":"{note}"' in text for text in stored)}


async def test_what_is_acknowledged_is_there(context: Context) -> None:
    assert await acknowledged_and_lost(context, GroupCommitter(context.ledger)) == set()


async def test_acknowledging_before_the_commit_is_caught(context: Context) -> None:
    assert await acknowledged_and_lost(context, AcknowledgesEarly(context.ledger)) != set()


class CheckpointFirst(Projector):
    """Broken on purpose: the checkpoint moves in a transaction of its own, before the rows."""

    async def flush(self, version, checkpoint, commits):
        async with self.db.tx() as conn:
            await self._move(conn, version, checkpoint, commits)
        async with self.db.tx() as conn:
            await set_path(conn, [schema_of(self.projection.name, version)])
            await apply_or_hold(conn, self.projection, version, commits)
        async with self.db.conn() as conn:
            return await read_checkpoint(conn, self.projection.name, version, commits[-1].ledger)


class FailsOften(Totals):
    """Every third flush ends as if the connection had been lost after the rows were written."""

    flushes = 0

    async def apply(self, conn, commits) -> None:
        await super().apply(conn, commits)
        FailsOften.flushes += 1
        if FailsOften.flushes % 3 == 0:
            raise ConnectionResetError("lost on purpose")


async def folded(context: Context, projector_class: type[Projector]) -> tuple[int, int]:
    """Fold under failures; return (what the rows say, what was raised)."""
    context.projector = projector_class(context.db, FailsOften(), lambda name: StreamReader(context.nc, name), batch=4)
    await context.projector.start()
    for _ in range(10):
        await asyncio.gather(*(context.raise_(f"c{n}", 1) for n in range(4)))

    async def at_head() -> bool:
        async with context.db.conn() as conn:
            return (await read_checkpoint(conn, "totals", 1, CONTEXT)).number == 40

    await eventually(at_head, timeout=40)
    return sum((await context.totals()).values()), 40


async def test_rows_and_checkpoint_move_together(context: Context) -> None:
    rows, raised = await folded(context, Projector)
    assert rows == raised


async def test_moving_the_checkpoint_first_is_caught(context: Context) -> None:
    rows, raised = await folded(context, CheckpointFirst)
    assert rows != raised


async def two_folding(context: Context, database, nats_server, monkeypatch) -> int:
    """Let two projectors lead at once, as after a lock that was thought held; return what the rows add up to."""

    async def always(self: Projector, ledger: str):
        return await self.db.dedicated()

    monkeypatch.setattr(Projector, "_lead", always)
    other = await open_context(database, nats_server, relay=False)
    try:
        await asyncio.gather(context.follow(Totals()), other.follow(Totals()))
        for _ in range(10):
            await asyncio.gather(*(context.raise_(f"c{n}", 1) for n in range(4)))

        async def at_head() -> bool:
            return {side.projector.applied.get(CONTEXT) for side in (context, other) if side.projector} == {40}

        await eventually(at_head, timeout=30)
        return sum((await context.totals()).values())
    finally:
        await other.close()


async def test_two_leading_projectors_fold_once(context, database, nats_server, monkeypatch) -> None:
    assert await two_folding(context, database, nats_server, monkeypatch) == 40


async def test_a_checkpoint_moved_without_comparing_is_caught(context, database, nats_server, monkeypatch) -> None:
    async def moved_anyway(self, conn, version, old, commits) -> None:
        last = commits[-1]
        await conn.execute(
            "UPDATE checkpoint SET number = $1, hash = $2, ledger_id = $3 WHERE projection = $4",
            last.number, last.hash, last.ledger_id, self.projection.name,
        )  # fmt: skip

    monkeypatch.setattr(Projector, "_move", moved_anyway)
    assert await two_folding(context, database, nats_server, monkeypatch) > 40
