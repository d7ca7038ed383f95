"""Several careful publishers at once: what is not answered is sent again with the same ids.

They go over HTTP, NATS requests and the inbox side by side. When the steps are over and the load is to go on, they
send what they sent before: a figure that counts any of it twice is wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from contracts.activity import IntakeResult, Receipt
from contracts.client.batches import PublishError
from contracts.client.over_http import HttpPublisher, TokenExchange
from contracts.client.over_nats import NatsPublisher
from services.kernel.positions import merge, parse
from tests.faults.stage import PATIENCE, Stage
from tests.oracle.generator import OrgChange, Step
from tests.oracle.intake import Delivery

WAYS = ("http", "http", "request", "inbox")
WINDOW = 150  # deliveries out of which batches of one publisher are made
Batch = list[Delivery]


@dataclass
class Load:
    """Steps on their way to the system: `batch` events at once, `pause` seconds after each, one worker a way."""

    stage: Stage
    steps: Sequence[Step]
    ways: Sequence[str] = WAYS
    batch: int = 40
    pause: float = 0.0
    answered: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)  # set: end when the steps are through
    slowest: dict[str, float] = field(default_factory=dict)  # way -> seconds that a batch waited at most

    _importing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def once(self) -> None:
        """Deliver every step, and no more."""
        self.over.set()
        await self.run()

    async def run(self) -> None:
        """Deliver every step; afterwards the same again until `over` is set."""
        items = iter(self._items())
        async with asyncio.TaskGroup() as group:
            for way in self.ways:
                group.create_task(self._work(way, items))

    def _items(self) -> Iterator[Batch | OrgChange]:
        made: list[Batch] = []
        for item in batched(self.steps, self.batch):
            if not isinstance(item, OrgChange):
                made.append(item)
            yield item
        for again in itertools.cycle(made):
            if self.over.is_set():
                return
            yield again

    async def _work(self, way: str, items: Iterator[Batch | OrgChange]) -> None:
        async with self._sender(way) as send:
            for item in items:
                if isinstance(item, OrgChange):
                    async with self._importing:  # two changes of one person are imported in their order
                        await self.stage.change(item)
                    continue
                began = time.monotonic()
                for result in await self._patiently(send, item):
                    self.outcomes[result.outcome] += 1
                    if result.commit:
                        self.stage.positions = merge(self.stage.positions, parse(result.commit))
                self.answered += 1
                self.slowest[way] = max(self.slowest.get(way, 0.0), time.monotonic() - began)
                await asyncio.sleep(self.pause)

    async def _patiently(self, send: Any, batch: Batch) -> list[IntakeResult]:
        """Try until it is answered; what is refused as a whole is no matter of patience."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                results: list[IntakeResult] = await send(batch[0].publisher, [one.event for one in batch])
            except PublishError as error:
                refused = error.status is not None and 400 <= error.status < 429
                if refused or time.monotonic() > until:
                    raise
            else:
                assert len(results) == len(batch)
                return results
            await asyncio.sleep(0.2)

    @asynccontextmanager
    async def _sender(self, way: str) -> AsyncIterator[Any]:
        system = self.stage.system
        async with httpx.AsyncClient(timeout=15) as client:
            connected: dict[str, NatsPublisher] = {}
            exchanges: dict[str, TokenExchange] = {}

            service = way.partition(" ")[2] or "activity"  # "http activity-2": that replica

            async def over_http(publisher: str, events: list[dict[str, Any]]) -> list[IntakeResult]:
                if publisher not in exchanges:
                    token = self.stage.tokens[publisher]
                    grant: dict[str, object] = {"grant": "publisher_token", "publisher": publisher, "token": token}
                    exchanges[publisher] = TokenExchange(client, system.url("org"), grant)
                return await HttpPublisher(
                    system.url(service), exchanges[publisher], client=client, attempts=2, batch=self.batch
                ).send(events)

            async def over_nats(publisher: str, events: list[dict[str, Any]]) -> list[IntakeResult]:
                if publisher not in connected:
                    token = self.stage.tokens[publisher]
                    nats = NatsPublisher(system.nats_url, publisher, token, attempts=2, batch=self.batch)
                    connected[publisher] = await nats.__aenter__()
                if way == "inbox":
                    receipts: list[Receipt] = await connected[publisher].deliver(events, patience=3.0)
                    return [result for receipt in receipts for result in receipt.results]
                return await connected[publisher].request(events, timeout=10)

            try:
                yield over_http if way.startswith("http") else over_nats
            finally:
                for nats in connected.values():
                    await nats.__aexit__(None, None, None)


@asynccontextmanager
async def under_load(load: Load) -> AsyncIterator[Load]:
    """Run the load beside the block; it goes on until the block ends and the steps are through."""
    running = asyncio.create_task(load.run())
    try:
        yield load
    except BaseException:
        running.cancel()
        raise
    finally:
        load.over.set()
        await running


def batched(steps: Iterable[Step], most: int) -> Iterator[Batch | OrgChange]:
    """Batches of one publisher each, about in order; an org change stands alone, after what came before it."""
    window: Batch = []
    for step in steps:
        if isinstance(step, OrgChange):
            yield from _by_publisher(window, most)
            window = []
            yield step
            continue
        window.append(step)
        if len(window) == max(WINDOW, most):
            yield from _by_publisher(window, most)
            window = []
    yield from _by_publisher(window, most)


def _by_publisher(window: Batch, most: int) -> Iterator[Batch]:
    for publisher in sorted({one.publisher for one in window}):
        mine = [one for one in window if one.publisher == publisher]
        for start in range(0, len(mine), most):
            yield mine[start : start + most]
