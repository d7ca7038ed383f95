"""Two decisions at once never wait for each other in a circle: each transaction takes its locks in one order."""

from __future__ import annotations

import asyncio


async def test_decisions_that_lock_the_same_identities_in_turn_do_not_deadlock(activity) -> None:
    service = activity.service
    both, locked = asyncio.Barrier(2), asyncio.Event()

    def locking(name: str, *, meets: bool):
        async def decide(work) -> str:
            await service.known.look_up(work.conn, [("person", "", name)])
            locked.set()
            if meets:
                async with asyncio.timeout(10):
                    await both.wait()
            return name

        return service.committer.submit(decide)

    first = [asyncio.create_task(locking("A", meets=True)), asyncio.create_task(locking("B", meets=False))]
    await locked.wait()
    second = [asyncio.create_task(locking("B", meets=True)), asyncio.create_task(locking("A", meets=False))]
    done = await asyncio.gather(*first, *second)
    assert [one.value for one in done] == ["A", "B", "B", "A"]
