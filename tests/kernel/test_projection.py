"""Projections: exactly once, gaps and forks never applied, poison held, rebuilt beside the live version."""

from __future__ import annotations

import asyncio

import pytest

from services.kernel.errors import Unavailable
from services.kernel.projection import Checkpoint, read_checkpoint, wait_for
from services.kernel.projector import Forked, StaleCheckpoint, check_chain
from services.kernel.rebuild import rebuild, undo
from tests.eventually import eventually
from tests.kernel.given import CONTEXT, Context, Raised, Totals, open_context


async def settled(context: Context) -> dict[str, int]:
    head = (await context.ledger.heads())[CONTEXT]
    await wait_for(context.db, ["totals"], {CONTEXT: head}, timeout=15)
    return await context.totals()


async def test_every_commit_is_folded_once(context: Context) -> None:
    await context.follow()
    await asyncio.gather(*(context.raise_(f"c{n % 5}", 1) for n in range(100)))
    assert await settled(context) == {f"c{n}": 20 for n in range(5)}


async def test_two_projectors_fold_once(context: Context, database, nats_server) -> None:
    other = await open_context(database, nats_server, relay=False)
    await context.follow()
    await other.follow()
    await asyncio.gather(*(context.raise_("a", 1) for _ in range(60)))
    assert await settled(context) == {"a": 60}
    await context.projector.stop()
    await asyncio.gather(*(context.raise_("a", 1) for _ in range(20)))
    assert await settled(context) == {"a": 80}
    await other.close()


async def test_the_same_commits_flushed_twice_count_once(context: Context) -> None:
    projector = await context.follow()
    await context.raise_("a", 1)
    await settled(context)
    async with context.db.conn() as conn:
        checkpoint = await read_checkpoint(conn, "totals", 1, CONTEXT)
    await context.raise_("a", 1)
    await settled(context)
    with pytest.raises(StaleCheckpoint):
        await projector.flush(1, checkpoint, (await context.commits())[1:])
    assert await context.totals() == {"a": 2}


async def test_gaps_forks_and_altered_commits_are_never_applied(context: Context) -> None:
    for n in range(4):
        await context.raise_("a", n + 1)
    one, two, three, _ = await context.commits()
    at_one = Checkpoint(CONTEXT, one.ledger_id, 1, 1, one.hash)
    check_chain(at_one, [two, three])
    altered = type(two)(**{f: getattr(two, f) for f in two.__slots__ if f != "body"}, body=two.body + b" ")
    foreign = Checkpoint(CONTEXT, "org/other", 1, 1, one.hash)
    other_hash = Checkpoint(CONTEXT, one.ledger_id, 1, 1, b"x" * 32)
    for checkpoint, commits in ((at_one, [three]), (at_one, [altered]), (foreign, [two]), (other_hash, [two])):
        with pytest.raises(Forked):
            check_chain(checkpoint, commits)


async def test_what_the_stream_has_dropped_comes_from_the_owner(context: Context, nats_server) -> None:
    context.ledger.limit = 300
    await context.raise_("a", 1)
    big = await context.raise_("a", 2, "".join(chr(33 + (n * n + n // 7) % 90) for n in range(4000)))
    await context.raise_("a", 4)
    await context.follow()
    assert await settled(context) == {"a": 7}
    assert big.positions == {CONTEXT: 2}


async def test_a_poisonous_event_is_held_and_the_rest_goes_on(context: Context) -> None:
    projector = await context.follow()
    for by in (1, 13, 2):
        await context.raise_("a", by)
    await context.raise_("b", 5)
    assert await settled(context) == {"a": 3, "b": 5}
    async with context.db.conn() as conn:
        holds = await conn.fetch("SELECT number, reason FROM hold")
    assert [(row["number"], row["reason"]) for row in holds] == [(2, "ValueError: thirteen")]
    assert projector.alarms == {}


async def test_an_ordered_fold_holds_the_rest_of_that_subject(context: Context) -> None:
    await context.follow(Totals(ordered=True))
    for by in (1, 13, 2):
        await context.raise_("a", by)
    await context.raise_("b", 5)
    assert await settled(context) == {"a": 1, "b": 5}
    async with context.db.conn() as conn:
        assert [row["number"] for row in await conn.fetch("SELECT number FROM hold ORDER BY 1")] == [2, 3]


async def test_a_rebuild_is_equal_and_switches(context: Context) -> None:
    await context.follow()
    await asyncio.gather(*(context.raise_(f"c{n % 5}", n) for n in range(20, 80)))
    before = await settled(context)
    report = await rebuild(context.db, Totals(), context.reader)
    assert report.switched
    assert report.differences == []
    assert await context.totals() == before
    await context.raise_("later", 1)
    assert (await settled(context))["later"] == 1


async def test_a_rebuild_under_load_loses_nothing(context: Context) -> None:
    await context.follow()
    stop = asyncio.Event()
    raised = 0

    async def load() -> None:
        nonlocal raised
        while not stop.is_set():
            await context.raise_("a", 1)
            raised += 1

    task = asyncio.create_task(load())
    await eventually(lambda: raised > 30)
    reports = [await rebuild(context.db, Totals(), context.reader) for _ in range(3)]
    stop.set()
    await task
    assert all(report.switched and not report.differences for report in reports)
    assert await settled(context) == {"a": raised}


async def test_a_rebuild_that_differs_is_refused_unless_accepted(context: Context) -> None:
    await context.follow()
    await context.raise_("a", 1)
    await settled(context)
    changed = Totals()
    changed.factor = 2
    report = await rebuild(context.db, changed, context.reader)
    assert not report.switched
    assert [(d.side, d.row["sum"]) for d in report.differences] == [("live", 1), ("rebuilt", 2)]
    assert await context.totals() == {"a": 1}
    accepted = await rebuild(context.db, changed, context.reader, accept=True)
    assert accepted.switched
    assert await context.totals() == {"a": 2}
    await undo(context.db, "totals")
    assert await context.totals() == {"a": 1}


async def test_waiting_for_a_position_times_out_with_a_code(context: Context) -> None:
    await context.follow()
    await context.raise_("a", 1)
    await settled(context)
    with pytest.raises(Unavailable) as refused:
        await wait_for(context.db, ["totals"], {CONTEXT: 99}, timeout=0.1)
    assert (refused.value.status, refused.value.code) == (503, "not_yet_applied")


async def test_waiting_includes_what_a_commit_rested_on(context: Context) -> None:
    projection = Totals(ledgers=(CONTEXT, "activity.0"))
    await context.follow(projection)

    async def decide(work) -> None:
        work.append("a", 0, [Raised(counter="a", by=1)])
        work.rests_on({"activity.0": 5})

    await context.committer.submit(decide)
    with pytest.raises(Unavailable):
        await wait_for(context.db, ["totals"], {CONTEXT: 1}, timeout=1)
    assert await context.totals() == {"a": 1}


async def resting_on(context: Context, **grounds: tuple[int, int]) -> None:
    async def decide(work) -> None:
        work.append("a", await work.version("a"), [Raised(counter="a", by=1)])
        names = {name.replace("_", "."): at for name, at in grounds.items()}
        work.rests_on({name: n for name, (_, n) in names.items()}, {name: e for name, (e, _) in names.items()})

    number = (await context.committer.submit(decide)).positions[CONTEXT]
    await eventually(lambda: context.projector.applied.get(CONTEXT) == number)


async def test_a_checkpoint_keeps_the_greatest_position_that_its_commits_rested_on(context: Context) -> None:
    projection = Totals(ledgers=(CONTEXT, "activity.0"))
    await context.follow(projection)
    for position in (5, 3):  # two replicas that decide: the second had folded less
        await resting_on(context, activity_0=(1, position))
    async with context.db.conn() as conn:
        await conn.execute("UPDATE checkpoint SET number = 4 WHERE ledger = 'activity.0'")
    with pytest.raises(Unavailable, match=r"activity\.0.*5"):
        await wait_for(context.db, ["totals"], {CONTEXT: 2}, timeout=0.1)


async def test_a_position_of_an_epoch_that_was_given_up_is_not_waited_for(context: Context) -> None:
    projection = Totals(ledgers=(CONTEXT, "activity.0"))
    await context.follow(projection)
    await resting_on(context, activity_0=(1, 100))
    async with context.db.conn() as conn:
        await conn.execute("UPDATE checkpoint SET number = 60, epoch = 2 WHERE ledger = 'activity.0'")
    await wait_for(context.db, ["totals"], {CONTEXT: 1}, timeout=0.1)
    await resting_on(context, activity_0=(2, 61))
    with pytest.raises(Unavailable, match="61"):  # the later epoch's, though the number is less
        await wait_for(context.db, ["totals"], {CONTEXT: 2}, timeout=0.1)
    await resting_on(context, activity_0=(1, 100))
    with pytest.raises(Unavailable, match="61"):
        await wait_for(context.db, ["totals"], {CONTEXT: 3}, timeout=0.1)
