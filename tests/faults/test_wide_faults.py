"""Three shards and two replicas of every service, under loss and at the limits of size."""

from __future__ import annotations

import json
import time

import pytest

from contracts.client.batches import MOST_BYTES, MOST_EVENTS
from services.kernel.positions import parse, render
from tests.eventually import eventually
from tests.faults.chaos import Chaos
from tests.faults.load import Load, under_load
from tests.faults.stage import Stage
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
    events = [
        {
            "specversion": "1.0",
            "id": f"large-{number}",
            "source": "poster",
            "type": "opsledger.activity.site.work",
            "subject": f"P{number % 12 + 1:03d}",
            "time": "2026-03-18T08:30:00+08:00",
            "data": {"quantity": number % 7 + 1, "note": "满" * 590 + f"{number:04d}"},
        }
        for number in range(MOST_EVENTS)
    ]
    size = len(json.dumps(events, ensure_ascii=False, separators=(",", ":")).encode())
    assert 0.95 * MOST_BYTES < size <= MOST_BYTES, size
    whole = [Delivery("poster", event) for event in events]
    stage.deliveries += whole
    for way in ("http", "request", "inbox", "http activity-2"):
        load = Load(stage, whole, ways=(way,), batch=MOST_EVENTS)
        await load.once()
        assert load.answered == 1
    await stage.assert_exact()


async def test_an_import_of_5000_people_is_one_decision(wide_stage: Stage) -> None:
    """Afterwards their activities count at once, and everybody else's figures stand."""
    stage = wide_stage
    people = [
        {
            "person": f"N{number:04d}",
            "name": f"新人{number}",
            "memberships": [{"unit": "commercial", "since": "2026-03-10"}],
            "absences": [],
        }
        for number in range(5000)
    ]
    await Load(stage, [OrgChange({"people": people}, "5,000 people")]).once()
    began = time.monotonic()
    posts = [
        Delivery(
            "crm",
            {
                "specversion": "1.0",
                "id": f"new-{number}",
                "source": "crm",
                "type": "opsledger.activity.site.work",
                "subject": f"N{number * 37 % 5000:04d}",
                "time": "2026-03-18T08:30:00+08:00",
                "data": {},
            },
        )
        for number in range(600)
    ]
    stage.deliveries += posts
    load = Load(stage, posts, ways=("http", "request"), batch=100)
    await load.once()

    async def none_held() -> bool:
        async with stage.director() as kpi:
            answer = await kpi.get(f"{stage.system.url('activity')}/v1/holds", params={"limit": 1000})
            answer.raise_for_status()
            return not [hold for hold in answer.json()["data"] if hold["subject"].startswith("N")]

    await eventually(none_held, timeout=60)
    print("held at first", load.outcomes["held"], "all known after", time.monotonic() - began)
    await stage.assert_exact(("2026-W10", "2026-03-18"))
