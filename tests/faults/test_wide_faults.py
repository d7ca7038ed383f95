"""Three shards and two replicas of every service, under loss and at the limits of size."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from contracts.client.batches import MOST_BYTES, MOST_EVENTS
from services.kernel.positions import parse, render
from tests.eventually import eventually
from tests.faults.chaos import Chaos
from tests.faults.load import Load, under_load
from tests.faults.stage import Stage
from tests.oracle.compare import compare, report
from tests.oracle.generator import OrgChange
from tests.oracle.intake import Delivery

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

REPLICAS = ["activity", "kpi-2", "activity-2", "kpi", "nats", "activity", "postgres"]


async def test_replicas_killed_in_turn_have_no_double_effect(wide_stage: Stage) -> None:
    """Half of the load goes to each replica of activity; relays and projectors lose their leaders again and again."""
    stage = wide_stage
    ways = ("http", "http activity-2", "request", "inbox")
    async with under_load(Load(stage, stage.next_steps(0.8), ways=ways, batch=8, pause=0.05)) as load:
        chaos = Chaos(stage.system, load)
        await chaos.kill_each(REPLICAS)
    print("recovered from", chaos.recovered, "slowest answer", load.slowest, dict(load.outcomes))
    assert len(parse(render(stage.positions))) == 3, "every shard has been written to"
    await stage.assert_exact()
    await stage.assert_exact(source="kpi-2")
    stage.assert_verified()


async def test_the_largest_permitted_request_is_recorded_once(wide_stage: Stage) -> None:
    """1,000 events and 2 MB at once, over each way and then again over another."""
    stage = wide_stage
    whole = [
        work(f"large-{n}", f"P{n % 12 + 1:03d}", quantity=n % 7 + 1, note="满" * 590 + f"{n:04d}")
        for n in range(MOST_EVENTS)
    ]
    size = len(json.dumps([one.event for one in whole], ensure_ascii=False, separators=(",", ":")).encode())
    assert 0.95 * MOST_BYTES < size <= MOST_BYTES, size
    stage.deliveries += whole
    for way in ("http", "request", "inbox", "http activity-2"):
        load = Load(stage, whole, ways=(way,), batch=MOST_EVENTS)
        await load.once()
        assert load.answered == 1
    await stage.assert_exact()


async def done_by(kpi: httpx.AsyncClient, scope: str, scope_id: str) -> int:
    params = {"period": "2026-03", "scope": scope, "id": scope_id, "quota": "H-71"}
    answer = await kpi.get("/v1/attainments", params=params)
    answer.raise_for_status()
    return sum(int(row["done"]) for row in answer.json()["data"])


async def test_an_import_of_5000_people_is_one_decision(wide_stage: Stage) -> None:
    """What was sent for them before is recorded by itself; their unit has all of it, everybody else's figures stand."""
    stage = wide_stage
    numbers = [f"N{number:04d}" for number in range(5000)]
    membership = {"unit": "commercial", "since": "2026-03-10"}
    people = [{"person": one, "name": f"新人{one}", "memberships": [membership], "absences": []} for one in numbers]
    before = [work(f"early-{one}", one) for one in numbers[::10]]
    after = [work(f"late-{one}", one) for one in numbers[3::10]]
    wanted = {key: value for key, value in stage.expected(("2026-03",)).items() if key[1] == "person"}
    async with stage.director() as kpi:
        had = await done_by(kpi, "unit", "commercial")
        early = Load(stage, before, ways=("http", "request"), batch=100)
        await early.once()
        assert early.outcomes == {"held": len(before)}
        began = time.monotonic()
        await stage.change(OrgChange({"people": people}, "5,000 people"))
        print("imported in", time.monotonic() - began)
        await Load(stage, after, ways=("http", "request"), batch=100).once()

        async def all_counted() -> bool:
            return await done_by(kpi, "unit", "commercial") == had + len(before) + len(after)

        await eventually(all_counted, timeout=60, every=0.2)
        print("all counted after", time.monotonic() - began)
        assert [await done_by(kpi, "person", one) for one in numbers[:5]] == [1, 0, 0, 1, 0]
        found = await compare(kpi, wanted)
    assert not found, report(found, len(wanted))


def work(number: str, person: str, **data: Any) -> Delivery:
    event = {
        "specversion": "1.0",
        "id": number,
        "source": "poster",
        "type": "opsledger.activity.site.work",
        "subject": person,
        "time": "2026-03-18T08:30:00+08:00",
        "data": data,
    }
    return Delivery("poster", event)
