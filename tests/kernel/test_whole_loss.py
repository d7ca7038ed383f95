"""A database that is lost whole comes back from the stream; a stream may begin at a later number than 1."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contracts.subjects import stream_name
from services.kernel import relay
from services.kernel.broker import stream_state
from services.kernel.commands import execute
from services.kernel.errors import Refusal
from services.kernel.heal import drop_old_streams, heal, rebuild_stream, start_epoch
from tests.conftest import sql
from tests.eventually import eventually
from tests.kernel.given import CONTEXT, Context, Raised, create_schema, open_context
from tests.kernel.test_relay import restore, stream_holds, totals_are


@pytest.fixture
async def dependant(second_database, nats_server) -> AsyncIterator[Context]:
    await create_schema(second_database)
    opened = await open_context(second_database, nats_server, relay=False)
    yield opened
    await opened.close()


async def ready(context: Context) -> None:
    await eventually(lambda: not context.ledger.refusals, timeout=15)


async def refused_as(context: Context, code: str) -> None:
    await eventually(lambda: code in {r.code for r in context.ledger.refusals.values()}, timeout=15)


async def follow(dependant: Context, owner: Context) -> None:
    await dependant.follow(fetch=False)
    dependant.projector._reader = owner.reader  # type: ignore[union-attr]


async def lose_whole(database: str) -> None:
    sql(database, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    await create_schema(database)


async def test_a_database_lost_whole_is_refused_then_adopts_the_streams_ledger(
    database, nats_server, dependant: Context
) -> None:
    await create_schema(database)
    first = await open_context(database, nats_server)
    await ready(first)
    await follow(dependant, first)

    async def decide(work) -> None:
        work.append("c", await work.version("c"), [Raised(counter="c", by=5)])

    command = {"principal": "p", "route": "POST /x", "key": "k1", "body": b"1"}
    await execute(first.committer, decide, **command)
    for n in range(20, 230):
        await first.raise_("a", n)
    lost = await first.commits()
    await eventually(lambda: dependant.projector.applied.get(CONTEXT) == 211)
    await eventually(lambda: stream_holds(first, 211))
    await first.close()
    await lose_whole(database)

    context = await open_context(database, nats_server)
    await refused_as(context, "database_lost_whole")
    with pytest.raises(Refusal) as refused:
        await context.raise_("a", 1)
    assert refused.value.status == 503
    assert "heal" in refused.value.remedy
    assert await heal(context.ledger, CONTEXT, context.nc, restore) == 211
    await ready(context)
    assert await context.commits() == lost
    again = await execute(context.committer, decide, **command)
    assert again.positions == {CONTEXT: 1}
    await context.raise_("a", 1000)
    await eventually(lambda: stream_holds(context, 212))
    dependant.projector._reader = context.reader  # type: ignore[union-attr]
    await eventually(lambda: totals_are(dependant, {"c": 5, "a": sum(range(20, 230)) + 1000}))
    assert not dependant.projector.alarms
    assert await heal(context.ledger, CONTEXT, context.nc, restore) == 0
    await context.close()


async def test_a_lost_database_adopts_the_epoch_in_force(database, nats_server, admin) -> None:
    await create_schema(database)
    first = await open_context(database, nats_server)
    await ready(first)
    await first.raise_("a", 1)
    assert await start_epoch(first.ledger, CONTEXT) == 2
    await ready(first)
    await eventually(lambda: stream_holds(first, 1, epoch=2))
    assert await drop_old_streams(first.ledger, CONTEXT, admin) == [stream_name(CONTEXT, 1)]
    assert await drop_old_streams(first.ledger, CONTEXT, admin) == []
    await first.raise_("a", 3)
    await eventually(lambda: stream_holds(first, 2, epoch=2))
    await first.close()
    await lose_whole(database)

    context = await open_context(database, nats_server)
    await refused_as(context, "database_lost_whole")
    assert await heal(context.ledger, CONTEXT, context.nc, restore) == 2
    await ready(context)
    await context.raise_("a", 4)
    await eventually(lambda: stream_holds(context, 3, epoch=2))
    await context.close()


async def test_a_database_from_before_an_epoch_does_not_go_on_in_the_old_stream(database, nats_server) -> None:
    await create_schema(database)
    first = await open_context(database, nats_server)
    await ready(first)
    await first.raise_("a", 1)
    await start_epoch(first.ledger, CONTEXT)
    await eventually(lambda: stream_holds(first, 1, epoch=2), timeout=15)
    await first.close()
    sql(database, "UPDATE ledger_head SET epoch = 1")  # as restored from before

    context = await open_context(database, nats_server)
    await refused_as(context, "database_lost_tail")
    assert await heal(context.ledger, CONTEXT, context.nc, restore) == 0
    await ready(context)
    await context.raise_("a", 2)
    await eventually(lambda: stream_holds(context, 2, epoch=2))
    await context.close()


async def test_an_empty_database_at_a_stream_that_begins_later_needs_a_backup(database, nats_server, admin) -> None:
    await create_schema(database)
    first = await open_context(database, nats_server)
    await ready(first)
    for n in range(20, 26):
        await first.raise_("a", n)
    await rebuild_stream(first.ledger, CONTEXT, admin, 4)
    await eventually(lambda: stream_holds(first, 6), timeout=15)
    await first.close()
    await lose_whole(database)
    context = await open_context(database, nats_server)
    await refused_as(context, "database_lost_whole")
    with pytest.raises(Refusal) as refused:
        await heal(context.ledger, CONTEXT, context.nc, restore)
    assert refused.value.code == "stream_begins_later"
    await context.close()


@pytest.mark.parametrize("first", [5, 11])
async def test_a_stream_may_begin_later_and_readers_fill_the_gap_from_the_owner(
    context: Context, admin, dependant: Context, first: int
) -> None:
    for n in range(20, 30):
        await context.raise_("a", n)
    await eventually(lambda: stream_holds(context, 10))
    await rebuild_stream(context.ledger, CONTEXT, admin, first)

    async def begins() -> bool:
        state = await stream_state(context.nc, CONTEXT, 1)
        return state is not None and (state.first_seq, state.last_seq) == (first, 10)

    await eventually(begins, timeout=15)
    await ready(context)
    await follow(dependant, context)  # from nothing, and with nothing new in the stream
    await eventually(lambda: totals_are(dependant, {"a": sum(range(20, 30))}), timeout=15)
    await context.raise_("a", 100)
    await eventually(lambda: totals_are(dependant, {"a": sum(range(20, 30)) + 100}), timeout=15)
    assert not dependant.projector.alarms  # type: ignore[union-attr]


async def test_a_lost_broker_begins_again_where_it_had_begun(context: Context, admin, nats_server) -> None:
    for n in range(20, 30):
        await context.raise_("a", n)
    await rebuild_stream(context.ledger, CONTEXT, admin, 8)
    await eventually(lambda: stream_holds(context, 10), timeout=15)
    nats_server.kill()
    nats_server.wipe()
    nats_server.start()

    async def again() -> bool:
        state = await stream_state(context.nc, CONTEXT, 1)
        return state is not None and (state.first_seq, state.last_seq) == (8, 10)

    await eventually(again, timeout=20)


async def test_a_new_epoch_whose_stream_begins_later_is_no_fork_to_who_stands_below(
    context: Context, admin, dependant: Context
) -> None:
    for n in range(20, 26):
        await context.raise_("a", n)
    await follow(dependant, context)
    await eventually(lambda: dependant.projector.applied.get(CONTEXT) == 6)

    async def never(*_) -> None:
        raise AssertionError("folded anew")

    dependant.projector.start_over = never  # type: ignore[union-attr]
    await rebuild_stream(context.ledger, CONTEXT, admin, 7)
    await ready(context)
    await start_epoch(context.ledger, CONTEXT, admin)
    await ready(context)
    await context.raise_("a", 100)
    await eventually(lambda: totals_are(dependant, {"a": sum(range(20, 26)) + 100}), timeout=20)
    assert not dependant.projector.alarms  # type: ignore[union-attr]


@pytest.mark.parametrize("first", [0, 3])
async def test_a_stream_begins_at_most_after_the_last_commit(context: Context, admin, first: int) -> None:
    await context.raise_("a", 1)
    with pytest.raises(Refusal) as refused:
        await rebuild_stream(context.ledger, CONTEXT, admin, first)
    assert (refused.value.code, refused.value.field) == ("first_out_of_range", "first_seq")


async def test_an_epoch_is_later_than_any_that_has_a_stream(context: Context, admin) -> None:
    await context.raise_("a", 1)
    await start_epoch(context.ledger, CONTEXT, admin)
    await eventually(lambda: stream_holds(context, 1, epoch=2), timeout=15)
    async with context.db.conn() as conn:
        await conn.execute("UPDATE ledger_head SET epoch = 1")
    assert await start_epoch(context.ledger, CONTEXT, admin) == 3


async def test_a_relay_that_was_looking_makes_the_stream_as_it_was_last_asked_for(
    context: Context, admin, monkeypatch
) -> None:
    for n in range(20, 26):
        await context.raise_("a", n)
    await eventually(lambda: stream_holds(context, 6))
    asked, done = relay.compare, False

    async def while_it_is_rebuilt(db, nc, ledger):
        nonlocal done
        if not done:
            done = True
            await rebuild_stream(context.ledger, CONTEXT, admin, 4)
        return await asked(db, nc, ledger)

    monkeypatch.setattr(relay, "compare", while_it_is_rebuilt)
    context.ledger.doubt()  # look again

    async def begins() -> bool:
        state = await stream_state(context.nc, CONTEXT, 1)
        return done and state is not None and (state.first_seq, state.last_seq) == (4, 6)

    await eventually(begins, timeout=15)
