"""The stages of the fault tests: a whole system each, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.stage import Stage
from tests.oracle.generator import generate
from tests.running import RunningSystem


def staged(seed: int, events: int, **settings: str) -> Iterator[Stage]:
    settings = {"OPSLEDGER_POSTGRES_SETTINGS": "shared_buffers=128MB", **settings}
    stage = Stage(RunningSystem(settings=settings), generate(seed, events=events, without_conflicts=True))
    try:
        stage.prepare()
        yield stage
    finally:
        stage.system.remove()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One process a service, one shard: the default."""
    yield from staged(seed=11, events=5000)


@pytest.fixture(scope="module")
def wide_stage() -> Iterator[Stage]:
    """Three shards, two replicas of every service that may have them."""
    yield from staged(seed=12, events=2500, OPSLEDGER_ACTIVITY_SHARDS="3", OPSLEDGER_REPLICAS="activity=2,kpi=2")
