"""What a composition root opens in order and closes again: parts, background work, and their readiness checks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Protocol

from services.kernel.projector import Projector
from services.kernel.relay import Relay
from services.kernel.tasks import end
from services.kernel.web import Check


class Part(Protocol):
    """What works in the background."""

    async def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """End."""


async def run(stack: AsyncExitStack, part: Part) -> None:
    """Start a part, and stop it when the stack closes."""
    await part.start()
    stack.push_async_callback(part.stop)


def spawn(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Run work beside everything else, and end it when the stack closes."""
    stack.push_async_callback(partial(end, asyncio.create_task(work)))


def relay_check(relay: Relay) -> Check:
    """Return the readiness check of a relay, with what its ledger refuses."""

    async def check() -> Mapping[str, Any]:
        refusals = [refusal.code for refusal in relay.ledger.refusals.values()]
        return {"ready": relay.healthy and not refusals, "sent": relay.sent, "refusals": refusals}

    return check


def lag_check(projector: Projector) -> Check:
    """Return the readiness check of a projector: its alarms and how far it is behind."""

    async def check() -> Mapping[str, Any]:
        return {"ready": not projector.alarms, "lag": projector.lag, "alarms": projector.alarms}

    return check
