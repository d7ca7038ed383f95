"""The whole system under loss: whatever is killed or deleted, every figure is exactly the oracle's afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from random import Random

import pytest

from tests.faults.stage import Chaos, Stage
from tests.oracle.generator import generate
from tests.running import RunningSystem

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

PROCESSES = ["activity", "kpi", "org", "nats", "postgres"]


def some_periods(stage: Stage, days: int = 4) -> list[str]:
    """All months and weeks of the scenario and a few of its days."""
    periods = stage.scenario.periods
    longer = [period for period in periods if len(period) < 10]
    shorter = [period for period in periods if len(period) == 10]
    return [*longer, *Random(1).sample(shorter, days)]


def staged(seed: int, events: int, **settings: str) -> Iterator[Stage]:
    stage = Stage(RunningSystem(settings=settings), generate(seed, events=events, without_conflicts=True))
    try:
        stage.prepare()
        yield stage
    finally:
        stage.system.remove()


@pytest.fixture
def stage() -> Iterator[Stage]:
    yield from staged(seed=11, events=1500)


@pytest.fixture
def wide_stage() -> Iterator[Stage]:
    """Three shards, two replicas of every service."""
    yield from staged(seed=12, events=1200, OPSLEDGER_ACTIVITY_SHARDS="3", OPSLEDGER_REPLICAS="activity=2,kpi=2")


async def under_chaos(stage: Stage, chaos: Chaos) -> None:
    killing = asyncio.create_task(chaos.run())
    try:
        await stage.play(stage.scenario.steps, most=8)
    finally:
        chaos.stop()
        await killing


async def test_without_any_fault_every_figure_is_exact(stage: Stage) -> None:
    await stage.play(stage.scenario.steps)
    await stage.assert_exact()
    stage.assert_verified()


async def test_kill_9_of_each_process_in_turn_under_load(stage: Stage) -> None:
    chaos = Chaos(stage.system, PROCESSES)
    await under_chaos(stage, chaos)
    assert set(chaos.killed) == set(PROCESSES), chaos.killed
    await stage.assert_exact(some_periods(stage))
    stage.assert_verified()


async def test_the_brokers_disk_lost_under_load(stage: Stage) -> None:
    """NATS is killed and its store deleted, twice, while publishers send over HTTP, requests and the inbox."""

    async def lose_the_disk() -> None:
        for _ in range(2):
            await asyncio.sleep(3)
            pid = stage.system.pid("nats")
            os.kill(stage.system.pid("nats"), signal.SIGKILL)
            shutil.rmtree(stage.system.home / "nats" / "jetstream", ignore_errors=True)
            await asyncio.to_thread(stage.system.wait_restarted, "nats", pid, 60.0)

    steps = stage.scenario.steps
    losing = asyncio.create_task(lose_the_disk())
    await stage.play(steps[: len(steps) // 2], over="both", most=8)
    await stage.play(steps[len(steps) // 2 :], over="inbox", most=40)
    await losing
    await stage.assert_exact(some_periods(stage))
    stage.assert_verified()


async def test_rebuild_under_load_is_equal_and_reads_never_fail(stage: Stage) -> None:
    playing = asyncio.create_task(stage.play(stage.scenario.steps, most=8))
    rebuilt = 0
    while not playing.done():
        done = await asyncio.to_thread(stage.system.opsledger, "rebuild", "facts")
        assert done.returncode == 0
        rebuilt += 1
    await playing
    assert rebuilt > 0
    await stage.assert_exact(some_periods(stage))


async def test_three_shards_and_two_replicas_have_no_double_effect(wide_stage: Stage) -> None:
    chaos = Chaos(wide_stage.system, ["activity", "kpi", "activity-2", "kpi-2"])
    await under_chaos(wide_stage, chaos)
    await wide_stage.assert_exact(some_periods(wide_stage))
    wide_stage.assert_verified()
