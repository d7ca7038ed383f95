"""The relay and the guard: sequence = number, healing of the broker, refusal when the database lost its tail."""

from __future__ import annotations

import asyncio

import pytest

from contracts.subjects import stream_name, stream_subject
from services.kernel.aggregates import write_aggregates
from services.kernel.broker import last_sequence, read_message
from services.kernel.codec import Commit
from services.kernel.errors import Refusal
from services.kernel.heal import heal, rebuild_stream, start_epoch
from tests.eventually import eventually
from tests.kernel.given import CONTEXT, Context, Totals, create_schema, open_context


async def stream_holds(context: Context, number: int, epoch: int = 1) -> bool:
    return await last_sequence(context.nc, CONTEXT, epoch) == number


async def same_as_ledger(context: Context, epoch: int = 1) -> bool:
    for commit in await context.commits():
        message, _ = await read_message(context.nc, CONTEXT, epoch, commit.number)
        assert message is not None
        assert (message.hash, message.body) == (commit.hash, commit.body)
    return True


async def restore(conn, commit: Commit, ref: int) -> None:
    await write_aggregates(conn, ref, [(e.aggregate, e.aggregateversion) for e in commit.events()])


async def test_stream_sequence_is_commit_number(context: Context) -> None:
    await asyncio.gather(*(context.raise_(f"c{n}", 1, "x" * n * 20) for n in range(60)))
    await eventually(lambda: stream_holds(context, 60))
    assert await same_as_ledger(context)


async def test_a_lost_stream_is_filled_again(context: Context, nats_server) -> None:
    await asyncio.gather(*(context.raise_(f"c{n}", 1) for n in range(20)))
    await eventually(lambda: stream_holds(context, 20))
    nats_server.kill()
    nats_server.wipe()
    await context.raise_("meanwhile", 1)
    nats_server.start()
    await eventually(lambda: stream_holds(context, 21), timeout=20)
    assert await same_as_ledger(context)


async def test_an_idle_relay_notices_a_lost_stream(context: Context, admin) -> None:
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 1))
    await admin.jetstream().delete_stream(stream_name(CONTEXT))
    await eventually(lambda: stream_holds(context, 1), timeout=15)


async def test_foreign_content_in_the_stream_stops_the_ledger_loudly(context: Context, admin) -> None:
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 1))
    await context.nc.jetstream().publish(stream_subject(CONTEXT), b"not a commit")

    async def refused() -> bool:
        await context.raise_("a", 1)
        return False

    with pytest.raises(Refusal) as refusal:
        await eventually(refused, timeout=15)
    assert refusal.value.code == "ledger_forked"
    await rebuild_stream(context.ledger, CONTEXT, admin)
    await eventually(lambda: not context.ledger.refusals, timeout=10)
    await eventually(lambda: same_as_ledger(context), timeout=10)


async def test_two_relays_never_double_a_commit(context: Context, database, nats_server) -> None:
    other = await open_context(database, nats_server)
    await eventually(lambda: not other.ledger.refusals)
    await asyncio.gather(
        *(context.raise_(f"c{n}", 1) for n in range(40)), *(other.raise_(f"d{n}", 1) for n in range(40))
    )
    await eventually(lambda: stream_holds(context, 80))
    assert await same_as_ledger(context)
    await context.relays[0].stop()
    await other.raise_("after", 1)
    await eventually(lambda: stream_holds(context, 81), timeout=10)
    await other.close()


async def lose_tail(context: Context, keep: int) -> None:
    """Make the database as an older backup would be: without the commits after `keep`."""
    async with context.db.tx() as conn:
        await conn.execute("DROP TRIGGER ledger_commit_append_only ON ledger_commit")
        await conn.execute("DELETE FROM ledger_commit WHERE number > $1", keep)
        last = await conn.fetchval("SELECT hash FROM ledger_commit WHERE number = $1", keep)
        await conn.execute("UPDATE ledger_head SET number = $1, hash = $2", keep, last)
        await conn.execute(
            "DELETE FROM aggregate_event e WHERE NOT EXISTS (SELECT 1 FROM ledger_commit c WHERE c.ref = e.ref)"
        )
        await conn.execute("DELETE FROM aggregate")
        await conn.execute("INSERT INTO aggregate SELECT aggregate, max(version) FROM aggregate_event GROUP BY 1")


async def test_a_database_that_lost_its_tail_is_refused_until_healed(database, nats_server) -> None:
    await create_schema(database)
    first = await open_context(database, nats_server)
    await eventually(lambda: not first.ledger.refusals)
    for n in range(10):
        await first.raise_("a", n + 20)
    await eventually(lambda: stream_holds(first, 10))
    lost = await first.commits()
    await lose_tail(first, 6)
    await first.close()

    context = await open_context(database, nats_server)
    await eventually(lambda: "database_lost_tail" in {r.code for r in context.ledger.refusals.values()})
    with pytest.raises(Refusal) as refused:
        await context.raise_("a", 1)
    assert refused.value.status == 503
    assert await heal(context.ledger, CONTEXT, context.nc, restore) == 4
    await eventually(lambda: not context.ledger.refusals)
    assert await context.commits() == lost
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 11))
    assert await heal(context.ledger, CONTEXT, context.nc, restore) == 0
    await context.close()


async def test_a_new_epoch_goes_on_from_an_older_backup_and_dependants_start_over(database, nats_server) -> None:
    await create_schema(database)
    first = await open_context(database, nats_server)
    await eventually(lambda: not first.ledger.refusals)
    await first.follow()
    for n in range(10):
        await first.raise_("a", n + 20)
    await eventually(lambda: first.projector.applied.get(CONTEXT) == 10)
    await lose_tail(first, 6)
    await first.close()

    context = await open_context(database, nats_server)
    await eventually(lambda: "database_lost_tail" in {r.code for r in context.ledger.refusals.values()})
    assert await start_epoch(context.ledger, CONTEXT) == 2
    await eventually(lambda: not context.ledger.refusals)
    await context.raise_("a", 100)
    await eventually(lambda: stream_holds(context, 7, epoch=2))
    assert await same_as_ledger(context, epoch=2)

    from services.kernel.rebuild import start_over

    projector = await context.follow()

    async def fresh(db, _projection, reader):
        return await start_over(db, Totals(), reader)

    projector.start_over = fresh
    await eventually(lambda: totals_are(context, {"a": sum(range(20, 26)) + 100}), timeout=20)
    await context.close()


async def totals_are(context: Context, expected: dict[str, int]) -> bool:
    found = await context.totals()
    assert found == expected
    return True
