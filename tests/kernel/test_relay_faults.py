"""What can happen to a relay that works: it must go on, say what is wrong, and never see a loss where there is none."""

from __future__ import annotations

import asyncio

import pytest

import services.kernel.relay as relay_module
from contracts.subjects import stream_name
from services.kernel.broker import last_sequence
from services.kernel.errors import Refusal, Unavailable
from services.kernel.guard import compare
from services.kernel.ledger import Work
from tests.eventually import eventually
from tests.kernel.given import CONTEXT, Context, Raised


async def stream_holds(context: Context, number: int) -> bool:
    return await last_sequence(context.nc, CONTEXT, 1) == number


async def test_a_commit_during_the_comparison_is_no_lost_tail(context: Context, monkeypatch) -> None:
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 1))
    asked = last_sequence

    async def while_others_commit(nc, ledger, epoch):
        await context.raise_("a", 1)
        await eventually(lambda: stream_holds(context, 2))
        return await asked(nc, ledger, epoch)

    monkeypatch.setattr("services.kernel.guard.last_sequence", while_others_commit)
    assert (await compare(context.ledger.db, context.nc, CONTEXT)).verdict in ("fits", "behind")


async def test_a_relay_outlives_an_error_that_nobody_foresaw(context: Context, monkeypatch) -> None:
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 1))
    relay = context.relays[0]
    publish, failures = relay._publish_pending, 0

    async def once_broken() -> bool:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ValueError("a bug")
        return await publish()

    monkeypatch.setattr(relay, "_publish_pending", once_broken)
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 2), timeout=10)
    await eventually(lambda: relay.healthy)


async def test_a_broker_that_takes_only_small_messages_is_named(context: Context, monkeypatch) -> None:
    relay = context.relays[0]
    monkeypatch.setattr(relay_module, "HEADROOM", 1 << 30)
    context.ledger.doubt()

    def named() -> bool:
        return "broker_limit_too_small" in {r.code for r in context.ledger.refusals.values()} and not relay.healthy

    await eventually(named, timeout=5)
    monkeypatch.setattr(relay_module, "HEADROOM", 64 * 1024)
    await eventually(lambda: not context.ledger.refusals and relay.healthy, timeout=10)


async def test_a_stream_that_takes_nothing_shows_and_is_not_hammered(context: Context, admin, monkeypatch) -> None:
    relay = context.relays[0]
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 1))
    config = (await admin.jetstream().stream_info(stream_name(CONTEXT))).config
    await admin.jetstream().update_stream(config.evolve(max_bytes=600))
    looks = 0
    look = relay._look

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await look()

    monkeypatch.setattr(relay, "_look", counted)
    await context.raise_("a", 1, note="x" * 900)
    await eventually(lambda: looks >= 2, timeout=10)
    assert not relay.healthy
    before = looks
    await asyncio.sleep(2)
    assert looks - before < 15
    await admin.jetstream().update_stream(config.evolve(max_bytes=-1))
    await eventually(lambda: stream_holds(context, 2), timeout=10)
    await eventually(lambda: relay.healthy)


async def test_metadata_that_fits_no_message_is_refused_before_the_append(context: Context) -> None:
    async def decide(work: Work) -> None:
        work.reason = "因" * 12_000  # 72 kB in a header's ASCII
        work.append("a", 0, [Raised(counter="a", by=1)])

    with pytest.raises(Refusal) as refused:
        await context.committer.submit(decide)
    assert refused.value.code == "metadata_too_large"
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 1))


async def test_a_message_that_stands_in_the_way_is_heard_of_at_once(context: Context) -> None:
    relay = context.relays[0]
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 1))
    relay.sent = 0  # as a leader that was away while another published
    await context.raise_("a", 1)
    await eventually(lambda: stream_holds(context, 2), timeout=3)


async def test_a_relay_that_cannot_reach_the_broker_lets_another_lead(context: Context, monkeypatch) -> None:
    relay = context.relays[0]
    await eventually(lambda: relay._lock is not None)
    held = relay._lock

    async def unreachable() -> bool:
        raise TimeoutError

    monkeypatch.setattr(relay, "_publish_pending", unreachable)
    await eventually(lambda: held.is_closed(), timeout=5)


async def test_references_are_asked_for_anew_after_a_restart_of_the_database(context: Context) -> None:
    await context.raise_("a", 1)
    async with context.db.conn() as conn:  # what was handed out and never became durable is handed out again
        await conn.execute("SELECT setval('ledger_ref', nextval('ledger_ref') + 4096)")
    context.ledger.doubt()
    await eventually(lambda: not context.ledger.refusals)
    await context.raise_("b", 1)
    async with context.db.conn() as conn:
        refs = [row["ref"] for row in await conn.fetch("SELECT ref FROM ledger_commit ORDER BY number")]
    assert refs[1] - refs[0] > 4096


async def test_a_comparison_from_before_a_restart_does_not_lift_the_refusal(context: Context, monkeypatch) -> None:
    real, held = compare, asyncio.Event()
    entered = asyncio.Event()

    async def slow(*args):
        found = await real(*args)
        entered.set()
        await held.wait()
        return found

    monkeypatch.setattr(relay_module, "compare", slow)
    context.ledger.doubt()
    await entered.wait()
    context.ledger.doubt()  # the database restarts while the answer of the one before is on its way
    entered.clear()
    held.set()
    held.clear()
    await entered.wait()
    with pytest.raises(Unavailable):
        context.ledger.check_writable()
    held.set()
    await eventually(lambda: not context.ledger.refusals)
