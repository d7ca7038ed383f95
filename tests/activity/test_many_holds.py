"""Holds by the hundred, and those whose to-do was lost: each is recorded once, and none keeps the others back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from services.activity import holds
from services.activity.holds import Holds
from tests.activity.given import Org, PersonRegistered, Running, post, running
from tests.activity.test_limits import NOISE
from tests.eventually import eventually


async def held(activity: Running) -> int:
    async with activity.service.db.conn() as conn:
        return await conn.fetchval("SELECT count(*) FROM activity_hold")


async def hold(activity: Running, *subjects: str) -> None:
    events = [post(f"held-{n}", subject=subject) for n, subject in enumerate(subjects)]
    for start in range(0, len(events), 1000):
        outcomes = {result["outcome"] for result in await activity.send(*events[start : start + 1000])}
        assert outcomes == {"held"}


async def recorded(activity: Running, count: int) -> None:
    async def none_left() -> bool:
        return await held(activity) == 0

    await eventually(none_left, timeout=30)
    events = await activity.ledger_events()
    facts = [event for event in events if event["fact"] == "activity.recorded.v1"]
    assert len(facts) == len({event["id"] for event in facts}) == count
    assert all(event["after_hold"] for event in facts)


async def test_more_holds_of_one_person_than_a_decision_takes(activity: Running) -> None:
    await hold(activity, *["N1"] * 1201)
    await activity.org.say(PersonRegistered(person="N1", name="new"))
    await recorded(activity, 1201)


async def test_one_import_ends_the_holds_of_many_people(activity: Running) -> None:
    numbers = [f"N{n}" for n in range(300)]
    await hold(activity, *numbers, *numbers)
    await activity.org.say(*(PersonRegistered(person=one, name=one) for one in numbers))
    await recorded(activity, 600)


@pytest.fixture
async def forgetful(database, nats_server, org: Org, monkeypatch) -> AsyncIterator[Running]:
    """A service whose to-dos are worked on without effect, as if they had been lost; its sweep comes often."""

    async def nothing(*_: object) -> None: ...

    monkeypatch.setattr(Holds, "_release", nothing)
    monkeypatch.setattr(holds, "SWEEP_SECONDS", 0.1)
    await org.furnish()
    async with AsyncExitStack() as stack:
        activity = await stack.enter_async_context(running(database, nats_server, org))
        await eventually(activity.settled, timeout=20)
        yield activity


async def test_the_sweep_finds_what_no_todo_tells(forgetful: Running) -> None:
    await hold(forgetful, *["N1"] * 501, "N2")
    await forgetful.org.say(PersonRegistered(person="N1", name="new"))

    async def only_the_unknown() -> bool:
        return await held(forgetful) == 1

    await eventually(only_the_unknown, timeout=30)
    await forgetful.org.say(PersonRegistered(person="N2", name="new"))
    await recorded(forgetful, 502)


async def test_a_sweep_that_failed_is_followed_by_the_next(forgetful: Running, monkeypatch) -> None:
    examine, calls = Holds.examine_all, 0

    async def once_broken(self: Holds) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("a bug")
        return await examine(self)

    monkeypatch.setattr(Holds, "examine_all", once_broken)
    await hold(forgetful, "N1")
    await forgetful.org.say(PersonRegistered(person="N1", name="new"))
    await recorded(forgetful, 1)
    assert calls > 1


async def test_a_hold_that_cannot_be_recorded_keeps_no_other_back(activity: Running) -> None:
    (large,) = await activity.send(post("large", subject="N1", data={"note": NOISE[:100_000]}))
    assert large["outcome"] == "held"
    await hold(activity, *["N1"] * 20)
    activity.service.ledger.limit = 50_000  # set lower since
    await activity.org.say(PersonRegistered(person="N1", name="new"))

    async def only_the_large() -> bool:
        return await held(activity) == 1

    await eventually(only_the_large, timeout=15)
    assert await activity.count() == 20
    activity.service.ledger.limit = 512 * 1024
    assert await Holds(activity.service).examine_all() == 1
    await recorded(activity, 21)
