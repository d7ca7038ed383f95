"""A background task ends when it is told to, whatever it does with the first cancellation."""

from __future__ import annotations

import asyncio

from services.kernel.tasks import end


async def test_a_task_that_swallows_a_cancellation_ends_nevertheless() -> None:
    async def deaf() -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue
        await asyncio.sleep(60)

    async def broken() -> None:
        raise ValueError("heard by nobody")

    tasks = [asyncio.create_task(deaf()), asyncio.create_task(broken())]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end(*tasks, None, every=0.05)
    assert all(task.done() for task in tasks)
