"""Evidence is asked for at the figure's own position, as the caller; the stream tells of changes."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import Any

import httpx
import pytest

from services.kpi import explain
from services.kpi.api_stream import _events
from services.kpi.facts import parse_period
from tests.eventually import eventually
from tests.kpi.given import World, activity, figures, token

DAY = date(2026, 10, 14)
DIRECTOR = token("9", ("director", None))


@pytest.fixture
async def ready(world: World, policy: dict[str, Any]) -> World:
    await eventually(lambda: world.kpi.projectors["trust"].applied.get("org", 0) >= 1)
    assert (await world.post("/v1/policies", DIRECTOR, policy)).status_code == 201
    return world


class Activity:
    """Plays the activity service: remembers what it was asked, answers a total."""

    def __init__(self, quantity: int) -> None:
        self.quantity = quantity
        self.asked: list[tuple[dict[str, Any], str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((json.loads(request.content), request.headers["authorization"]))
        body = {"data": [{"id": "x"}], "total_quantity": self.quantity, "total_events": 2, "next": None}
        return httpx.Response(200, json=body)

    def play(self, world: World) -> None:
        client = httpx.AsyncClient(base_url="http://activity", transport=httpx.MockTransport(self))
        world.kpi.evidence._client = client


async def test_a_figure_is_explained_at_its_own_position_by_the_callers_right(ready: World) -> None:
    forums = [activity("1", "forum.post", DAY, platform=f"f{n}", account="a", quantity=n) for n in range(1, 8)]
    at = await ready.happen(*forums)
    other = Activity(quantity=3 + 4 + 5 + 6 + 7)
    other.play(ready)
    asked = {"quota": "H-29a", "scope": "person", "id": "1", "period": "2026-10", "at_least": at}
    data = await ready.data("/v1/explain", DIRECTOR, **asked)
    assert (data["sums"], data["quantity"], data["rows"]) == (True, 25, [{"id": "x"}])
    question, authorization = other.asked[0]
    assert question["at"] == at
    assert authorization == f"Bearer {DIRECTOR}"
    assert {p for s in question["selectors"] for p in s["platforms"]} == {f"f{n}" for n in range(3, 8)}


async def test_evidence_that_does_not_sum_says_so(ready: World) -> None:
    at = await ready.happen(activity("1", "weibo.post", DAY, account="w"))
    Activity(quantity=2).play(ready)
    asked = {"quota": "H-35a", "scope": "person", "id": "1", "period": "2026-10", "at_least": at}
    assert (await ready.data("/v1/explain", DIRECTOR, **asked))["sums"] is False


async def test_complete_campaigns_are_asked_for_one_by_one(ready: World) -> None:
    kinds = ("campaign.plan", "campaign.run", "campaign.report")
    at = await ready.happen(*(activity("1", kind, DAY, campaign=name) for kind in kinds for name in ("x", "y")))
    other = Activity(quantity=6)
    other.play(ready)
    asked = {"quota": "H-22-complete", "scope": "person", "id": "1", "period": "2026-10", "at_least": at}
    assert (await ready.data("/v1/explain", DIRECTOR, **asked))["sums"] is True
    assert sorted(s["campaign"] for s in other.asked[0][0]["selectors"]) == ["x", "y"]


async def test_a_refusal_of_the_activity_service_reaches_the_caller() -> None:
    problem = httpx.Response(403, json={"code": "not_allowed", "detail": "no"})
    refusal = explain._refusal(problem)
    assert (refusal.code, refusal.status) == ("not_allowed", 403)


async def test_the_stream_sends_the_state_and_then_what_changed(ready: World) -> None:
    from services.kernel.auth import Access, Authenticator, load_trust

    authenticator = Authenticator(lambda: load_trust(ready.kpi.db))
    principal = await authenticator.check(DIRECTOR)
    access = Access(principal, "stream.read", "all")
    events = _events(ready.kpi, access, "person", "1", parse_period("2026-10"))
    first = await asyncio.wait_for(anext(events), 5)
    assert done(first)["H-35a"] == "0"
    await ready.happen(activity("2", "weibo.post", DAY, account="w"))
    await ready.happen(activity("1", "weibo.post", DAY, account="w"))
    second = await asyncio.wait_for(anext(events), 5)
    assert done(second)["H-35a"] == "1"
    await events.aclose()


def done(event: str) -> dict[str, str]:
    kind, _, data = event.strip().split("\n")
    assert kind == "event: figures"
    return figures(json.loads(data.removeprefix("data: "))["data"])
