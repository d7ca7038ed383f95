"""Alerts: transitions are decided once each, on the kpi ledger, whoever looks and however often."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.kernel.archive import read_commits
from services.kpi import reactions
from services.kpi.alerts import NEW, Alert, decide, evolve, transitions
from services.kpi.reactions import LOCK, AlertWorker
from services.kpi.rules import Attainment
from tests.eventually import eventually
from tests.kpi.given import World, activity, owners, token, void

DAY = date(2026, 10, 14)
DIRECTOR = token("9", ("director", None))


def figure(status: str, done: int = 0, due: int = 10) -> Attainment:
    return Attainment("Q", 1, "person", "1", None, "2026-10", done, due, 31, 13, status, None, None)  # type: ignore[arg-type]


def run(*figures: Attainment, complete: bool = True) -> list[str]:
    """Every transition that a course of figures makes, each figure looked at twice."""
    alert, said = NEW, []
    for one in (each for figure in figures for each in (figure, figure)):
        for transition in transitions(alert, one, complete=complete):
            alert = evolve(alert, transition)
            said.append(transition)
    return said


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ([figure("on_track"), figure("behind")], []),
        ([figure("at_risk"), figure("on_track", 9)], ["raised", "cleared"]),
        ([figure("at_risk"), figure("on_track", 10)], ["raised", "cleared", "met"]),
        ([figure("on_track", 10), figure("at_risk", 1)], ["met", "unmet", "raised"]),
        ([figure("at_risk"), figure("missed")], ["raised", "missed"]),
        ([figure("missed"), figure("met", 10)], ["missed", "met"]),
        ([figure("at_risk"), figure("missed"), figure("met", 10)], ["raised", "missed", "cleared", "met"]),
        ([figure("missed"), figure("no_target", 0, 0)], ["missed", "cleared"]),
        ([figure("met", 10), figure("missed", 9)], ["met", "unmet", "missed"]),
    ],
)
def test_each_transition_is_said_once(course: list[Attainment], expected: list[str]) -> None:
    assert run(*course) == expected


def test_missed_is_not_said_before_every_input_is_applied() -> None:
    assert run(figure("missed"), complete=False) == []


def test_an_event_carries_what_it_was_decided_on() -> None:
    at = datetime(2026, 10, 14, tzinfo=UTC)
    (event,) = decide(Alert(), figure("at_risk", 3), at, {"org": 4}, complete=True)
    assert (event.transition, event.done, event.due, event.at, event.positions) == ("raised", "3", "10", at, {"org": 4})


@pytest.fixture
async def ready(world: World, policy: dict[str, Any]) -> AsyncIterator[World]:
    await world.app.state.alerts.stop()  # each test looks by itself, on a day of its own
    await eventually(lambda: world.kpi.projectors["trust"].applied.get("org", 0) >= 1)
    assert (await world.post("/v1/policies", DIRECTOR, policy)).status_code == 201
    async with owners(world):
        yield world


async def changed(world: World) -> list[tuple[str, str, str, str, str]]:
    """What the kpi ledger says of alerts: (quota, scope, id, period, transition)."""
    found = []
    for commit in await read_commits(world.kpi.db, "kpi", 0, 10_000):
        for event in commit.events():
            if event.type == "kpi.alert_changed.v1":
                data = json.loads(bytes(event.data))
                found.append(tuple(data[k] for k in ("quota", "scope", "id", "period", "transition")))
    return found


async def settle(worker: AlertWorker) -> None:
    while await worker.work_once():
        pass


async def test_the_ledger_says_each_transition_once(ready: World) -> None:
    worker = AlertWorker(ready.kpi)
    worker.today = DAY
    posts = activity("1", "weibo.post", DAY, account="w", form="original", quantity=100)
    at = await ready.happen(posts)
    await ready.data("/v1/attainments", DIRECTOR, period="2026-10", id="1", at_least=at)
    await settle(worker)
    mine = [c for c in await changed(ready) if c[:4] == ("H-35a", "person", "1", "2026-10")]
    assert [c[4] for c in mine] == ["met"]
    assert ("H-35a", "person", "2", "2026-10", "raised") in await changed(ready)
    other = AlertWorker(ready.kpi)
    other.today = DAY
    await settle(other)
    at = await ready.happen(void(posts))
    await ready.data("/v1/attainments", DIRECTOR, period="2026-10", id="1", at_least=at)
    await settle(worker)
    mine = [c for c in await changed(ready) if c[:4] == ("H-35a", "person", "1", "2026-10")]
    assert [c[4] for c in mine] == ["met", "unmet", "raised"]
    assert len(set(await changed(ready))) == len(await changed(ready))
    shown = await ready.data("/v1/alerts", DIRECTOR, period="2026-10")
    assert {"H-35a", "H-27"} <= {row["quota"] for row in shown if row["raised"]}


async def test_time_alone_makes_a_month_missed_once_it_is_over(ready: World) -> None:
    worker = AlertWorker(ready.kpi)
    worker.today = date(2026, 10, 31)
    await settle(worker)
    before = [c for c in await changed(ready) if c[3] == "2026-10" and c[4] == "missed"]
    worker.today = date(2026, 11, 1)
    await settle(worker)
    after = [c for c in await changed(ready) if c[3] == "2026-10" and c[4] == "missed"]
    worker.today += timedelta(days=1)
    await settle(worker)
    again = [c for c in await changed(ready) if c[3] == "2026-10" and c[4] == "missed"]
    assert before == []
    assert ("H-35a", "person", "1", "2026-10", "missed") in after
    assert after == again


async def missed(world: World) -> list[tuple[str, str, str, str, str]]:
    return [c for c in await changed(world) if c[3] == "2026-10" and c[4] == "missed"]


async def test_missed_waits_for_an_owner_that_is_silent(ready: World, monkeypatch) -> None:
    monkeypatch.setattr(reactions, "ASK_AGAIN", 0.0)
    worker = AlertWorker(ready.kpi)
    worker.today = date(2026, 11, 1)
    ready.owners.silent = True  # the broker is not: what it holds may be less than was recorded
    await settle(worker)
    assert await missed(ready) == []
    ready.owners.silent = False
    ready.owners.refusals = {"activity.0": "database_lost_tail"}
    await settle(worker)
    assert await missed(ready) == []
    ready.owners.refusals = {}
    await settle(worker)
    assert ("H-35a", "person", "1", "2026-10", "missed") in await missed(ready)


async def test_missed_waits_until_what_the_owners_named_is_applied(ready: World, monkeypatch) -> None:
    worker = AlertWorker(ready.kpi)
    worker.today = date(2026, 11, 1)
    ready.owners.ahead = 1  # one commit more than has come over the broker
    await settle(worker)
    assert await missed(ready) == []
    at = await ready.happen(activity("1", "weibo.post", DAY, account="w", form="original", quantity=100))
    at = f"{at},{await ready.say_something()}"
    await ready.data("/v1/attainments", DIRECTOR, period="2026-10", id="1", at_least=at)
    await settle(worker)
    said = await missed(ready)
    assert ("H-35a", "person", "2", "2026-10", "missed") in said
    assert ("H-35a", "person", "1", "2026-10", "missed") not in said


async def test_a_worker_that_stops_lets_go_of_its_lock(ready: World) -> None:
    async def locks() -> int:
        async with ready.kpi.db.conn() as conn:
            return await conn.fetchval(
                "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
                " WHERE locktype = 'advisory' AND objid = $1 AND datname = current_database()", LOCK,
            )  # fmt: skip

    async def held() -> bool:
        return await locks() == 1

    async def free() -> bool:
        return await locks() == 0

    await eventually(free)
    first = AlertWorker(ready.kpi)
    await first.start()
    await eventually(held)
    await first.stop()
    await eventually(free, timeout=5)
