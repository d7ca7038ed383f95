"""Tickets under loss: what a desk was told stands once, in order and with its words, whatever was killed meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.faults.chaos import RECOVERY, Chaos
from tests.faults.desk_load import DeskLoad
from tests.running import RunningSystem

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    running = RunningSystem(settings={"OPSLEDGER_POSTGRES_SETTINGS": "shared_buffers=128MB"})
    try:
        running.up()
        running.opsledger("org", "apply", "deploy/handbook/organisation.yaml")
        yield running
    finally:
        running.remove()


@asynccontextmanager
async def at_work(load: DeskLoad) -> AsyncIterator[DeskLoad]:
    """Let the desks work beside the block; they finish the tickets that they have begun."""
    running = asyncio.create_task(load.run())
    try:
        yield load
    except BaseException:
        if running.done():
            await running  # what ended the desks is what is wrong
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        raise
    load.over.set()
    await running


async def assert_exact(load: DeskLoad, system: RunningSystem) -> None:
    found = await load.found()
    wrong = {ticket: (told, found[ticket]) for ticket, told in load.told.items() if found[ticket] != told}
    assert not wrong, f"{len(wrong)} of {len(found)}: {next(iter(wrong.items()))}"
    assert len(found) > 8
    # Desks need no broker: they may be through before the relays have filled its streams again.
    until = time.monotonic() + RECOVERY
    while True:
        done = await asyncio.to_thread(system.opsledger, "verify", check=False, timeout=180)
        if done.returncode == 0:
            return
        assert time.monotonic() < until, done.stdout + done.stderr
        await asyncio.sleep(0.5)


async def test_kill_9_of_each_process_in_turn_while_desks_work(system: RunningSystem) -> None:
    async with at_work(DeskLoad(system)) as load:
        chaos: Any = Chaos(system, load)  # type: ignore[arg-type]
        await chaos.kill_each(["tickets", "postgres", "nats"])
        await chaos.kill_together(["tickets", "postgres", "nats"])
        await chaos.kill_each(["tickets", "org"])
    print("recovered from", chaos.recovered, "slowest answer", load.slowest, "tickets", len(load.told))
    await assert_exact(load, system)


async def test_the_broker_s_disk_lost_while_desks_work(system: RunningSystem) -> None:
    async def lose_the_disk() -> None:
        pid = system.kill("nats")
        shutil.rmtree(system.home / "nats" / "store")
        await asyncio.to_thread(system.wait_restarted, "nats", pid, RECOVERY)

    async with at_work(DeskLoad(system)) as load:
        chaos: Any = Chaos(system, load)  # type: ignore[arg-type]
        await chaos.strike("the broker's disk", lose_the_disk)
    await assert_exact(load, system)
