"""The whole system under loss: whatever is killed or deleted, every figure is exactly the oracle's afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal

import pytest

from tests.faults.chaos import RECOVERY, Chaos
from tests.faults.load import Load, under_load
from tests.faults.stage import Stage
from tests.oracle.compare import compare, report

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PROCESSES = ["postgres", "activity", "nats", "kpi", "org"]


async def test_without_any_fault_every_figure_is_exact(stage: Stage) -> None:
    await Load(stage, stage.next_steps(0.15)).once()
    await stage.assert_exact()
    wanted = stage.expected(("2026-W10", "2026-03-18"))
    async with stage.director() as kpi:  # asked for one by one, the figures are the same
        found = await compare(kpi, wanted)
    assert not found, report(found, len(wanted))
    stage.assert_verified()


async def test_kill_9_of_each_process_in_turn_under_load(stage: Stage) -> None:
    async with under_load(Load(stage, stage.next_steps(0.3), batch=8, pause=0.1)) as load:
        chaos = Chaos(stage.system, load)
        await chaos.kill_each(PROCESSES)
        await chaos.kill_together(["org", "nats"])  # publishers cannot be admitted when they come back
        await chaos.kill_each(PROCESSES)
        await chaos.kill_together(PROCESSES)
    print("recovered from", chaos.recovered, "slowest answer", load.slowest, dict(load.outcomes))
    await stage.assert_exact()
    stage.assert_verified()


async def test_the_brokers_disk_lost_under_load(stage: Stage) -> None:
    """NATS is killed and its store deleted, twice; the inbox's publishers resend what has no receipt."""

    async def lose_the_disk() -> None:
        store = stage.system.home / "nats" / "store"
        assert store.is_dir()
        pid = stage.system.kill("nats")
        shutil.rmtree(store)
        await asyncio.to_thread(stage.system.wait_restarted, "nats", pid, RECOVERY)

    steps = stage.next_steps(0.15)
    async with under_load(Load(stage, steps, ways=("http", "request", "inbox"), batch=8, pause=0.05)) as load:
        chaos = Chaos(stage.system, load)
        for _ in range(2):
            await chaos.strike("the broker's disk", lose_the_disk)
    print("recovered from", chaos.recovered, "slowest answer", load.slowest)
    await stage.assert_exact()
    stage.assert_verified()


async def test_the_supervisor_killed_and_started_again_under_load(stage: Stage) -> None:
    async def end_the_supervisor() -> None:
        os.kill(stage.system.pid("supervisor"), signal.SIGKILL)
        await asyncio.to_thread(stage.system.up)

    async with under_load(Load(stage, stage.next_steps(0.08), batch=8, pause=0.05)) as load:
        chaos = Chaos(stage.system, load)
        await chaos.strike("supervisor", end_the_supervisor)
    print("recovered from", chaos.recovered)
    await stage.assert_exact()
