"""Wait for something to become true, by polling with a deadline: no test sleeps a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(probe: Callable[[], T | Awaitable[T]], *, timeout: float = 10.0, every: float = 0.02) -> T:
    """Call `probe` (plain or async) until it returns something truthy without raising; return that.

    At the deadline its last exception, or an AssertionError that shows its last answer, is raised.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: Exception | AssertionError | None = None
        answer: object = None
        try:
            answer = probe()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer  # type: ignore[return-value]
        except (Exception, AssertionError) as error:
            failure = error
        if time.monotonic() >= deadline:
            if failure is not None:
                raise failure
            raise AssertionError(f"not within {timeout} s; last answer: {answer!r}")
        await asyncio.sleep(every)
