"""Reactions: to-dos are worked on at least once, renewed ones again, failing ones later."""

from __future__ import annotations

from services.kernel.errors import Unavailable
from services.kernel.reaction import TodoWorker, command_id, put_todo
from tests.eventually import eventually
from tests.kernel.given import Context


async def left(context: Context) -> int:
    async with context.db.conn() as conn:
        return int(await conn.fetchval("SELECT count(*) FROM todo"))


async def test_a_todo_is_worked_on_and_gone(context: Context) -> None:
    seen: list[tuple[str, dict]] = []

    async def handle(key: str, payload: dict) -> None:
        seen.append((key, payload))

    async with context.db.tx() as conn:
        await put_todo(conn, "greet", "b", {"n": 2})
        await put_todo(conn, "greet", "a", {"n": 1})
        await put_todo(conn, "other", "c")
    assert await TodoWorker(context.db, "greet", handle).work_once() == 2
    assert sorted(seen) == [("a", {"n": 1}), ("b", {"n": 2})]
    assert await left(context) == 1


async def test_a_todo_renewed_while_it_is_worked_on_is_done_again(context: Context) -> None:
    rounds = 0

    async def handle(key: str, payload: dict) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            async with context.db.tx() as conn:
                await put_todo(conn, "greet", key, {"again": True})

    async with context.db.tx() as conn:
        await put_todo(conn, "greet", "a")
    worker = TodoWorker(context.db, "greet", handle)
    await worker.work_once()
    assert await left(context) == 1
    await worker.work_once()
    assert (rounds, await left(context)) == (2, 0)


async def test_a_failing_todo_stays_and_waits_longer(context: Context) -> None:
    tries = 0

    async def handle(key: str, payload: dict) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ValueError("not yet")

    async with context.db.tx() as conn:
        await put_todo(conn, "greet", "a")
    worker = TodoWorker(context.db, "greet", handle, poll=0.05)
    await worker.start()

    async def nothing_left() -> bool:
        return await left(context) == 0

    await eventually(nothing_left, timeout=10)
    await worker.stop()
    assert tries == 3


def test_the_command_id_of_a_reaction_is_always_the_same() -> None:
    assert command_id("release", "org", 7, 0) == command_id("release", "org", 7, 0)
    assert command_id("release", "org", 7, 0) != command_id("release", "org", 7, 1)


async def test_a_ledger_that_refuses_for_a_moment_is_not_the_todos_fault(context: Context) -> None:
    refused = 0

    async def handle(key: str, payload: dict) -> None:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise Unavailable("ledger_not_yet_compared", "after a restart")

    async with context.db.tx() as conn:
        await put_todo(conn, "greet", "a")
    worker = TodoWorker(context.db, "greet", handle, poll=0.05)
    await worker.start()

    async def nothing_left() -> bool:
        return await left(context) == 0

    await eventually(nothing_left, timeout=10)
    await worker.stop()
    assert refused == 2
