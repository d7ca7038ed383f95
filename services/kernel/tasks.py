"""Ending background tasks: until they have ended, also where a library swallows a cancellation."""

from __future__ import annotations

import asyncio
from typing import Any


async def end(*tasks: asyncio.Task[Any] | None, every: float = 1.0) -> None:
    """Cancel the tasks and wait until they have ended; their results and errors are dropped.

    Cancelled again every second: `asyncio.wait_for` before Python 3.12 forgets a cancellation that comes together with
    its result, and nats-py turns one that comes while it waits for room into an error of its own.
    """
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=every)
        for task in done:
            if not task.cancelled():
                task.exception()
