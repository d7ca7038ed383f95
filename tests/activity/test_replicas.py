"""Two processes' worth of the service on one database, three shards: nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.activity.given import post, running, void
from tests.eventually import eventually


async def test_two_replicas_and_three_shards_record_each_event_once(database, nats_server, org):
    await org.furnish()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(database, nats_server, org, shards=3))
        two = await stack.enter_async_context(running(database, nats_server, org, shards=3))
        await eventually(one.settled, timeout=30)
        await eventually(two.settled, timeout=30)
        events = [post(f"{n}", subject="E1" if n % 3 else "E2") for n in range(60)]
        voids = [void(f"{n}", f"v{n}") for n in range(0, 60, 4)]
        chunks = [events[n : n + 10] + voids[n // 5 : n // 5 + 3] for n in range(0, 60, 10)] + [voids]
        answers = await asyncio.gather(*(side.send(*chunk) for chunk in chunks for side in (one, two)))
        outcomes = [result["outcome"] for answer in answers for result in answer]
        assert set(outcomes) <= {"recorded", "duplicate"}
        assert outcomes.count("recorded") == 60 + 15
        assert await one.count() == 45
        assert (await one.get("/openapi.json")).status_code == 200
