"""Waiting for a position: woken by this process's own projector, polled where another process leads."""

from __future__ import annotations

import asyncio

from services.kernel import progress
from services.kernel.progress import Progress
from services.kernel.projection import wait_for
from tests.eventually import eventually
from tests.kernel.given import CONTEXT, Context


async def test_the_own_projector_wakes_who_waits(context: Context, monkeypatch) -> None:
    monkeypatch.setattr(progress, "POLL", 3600.0)  # not by looking again
    await context.follow()
    knows = Progress([context.projector])
    await eventually(lambda: CONTEXT in context.projector.leads)
    waiting = asyncio.create_task(wait_for(context.db, ["totals"], {CONTEXT: 3}, 15, knows))
    for _ in range(3):
        await context.raise_("a", 1)
    await asyncio.wait_for(waiting, 15)
    assert await context.totals() == {"a": 3}


async def test_what_another_process_applies_is_polled(context: Context) -> None:
    await context.follow()
    await eventually(lambda: CONTEXT in context.projector.leads)
    knows = Progress([context.projector])
    context.projector.leads.clear()  # as where another process holds the lock
    context.projector._listeners.clear()
    waiting = asyncio.create_task(wait_for(context.db, ["totals"], {CONTEXT: 1}, 15, knows))
    await context.raise_("a", 1)
    await asyncio.wait_for(waiting, 15)


async def test_a_move_between_the_look_and_the_wait_is_not_missed(context: Context) -> None:
    await context.follow()
    knows = Progress([context.projector])
    since = knows.moves
    await context.raise_("a", 1)
    await eventually(lambda: knows.moves > since)
    await asyncio.wait_for(knows.reaches({CONTEXT: 99}, since, 3600.0), 5)
