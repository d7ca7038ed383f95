"""Rejected events after their rejection: sent again, discarded, removed when too old."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from contracts.org import PublisherRevoked
from services.activity import app as app_module
from services.activity import quarantine
from services.kernel.clock import now
from tests.activity.given import Running, post, running
from tests.eventually import eventually

NEW = "opsledger.activity.new.kind"


class Desk:
    """An operator at the quarantine."""

    def __init__(self, activity: Running) -> None:
        self.activity = activity
        self.operator = activity.org.person("O1", "operator")

    async def do(self, number: int, what: str, body: Any = None, token: str | None = None) -> httpx.Response:
        path = f"/v1/quarantine/{number}/{what}"
        return await self.activity.client.post(path, json=body, headers=self.activity.headers(token or self.operator))

    async def listed(self, state: str = "open") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.activity.get("/v1/quarantine", self.operator, state=state)).json()[
            "data"
        ]
        return found

    async def reject(self, *events: dict[str, Any]) -> list[int]:
        """Send events that are rejected; return their numbers, in order."""
        before = {row["number"] for row in await self.listed("all")}
        assert {result["outcome"] for result in await self.activity.send(*events)} == {"rejected"}
        return sorted({row["number"] for row in await self.listed("all")} - before)

    async def define(self, name: str) -> None:
        entry = {"name": name, "row": "H-99", "needs": [], "name_zh": "新", "name_en": "new"}
        headers = self.activity.headers(self.activity.director)
        done = await self.activity.client.put(f"/v1/catalogue/{name}", json=entry, headers=headers)
        assert done.status_code in (200, 201), done.text


@pytest.fixture
def desk(activity: Running) -> Desk:
    return Desk(activity)


async def test_what_is_known_by_now_is_sent_again_as_it_was(desk: Desk) -> None:
    (number,) = await desk.reject(post("r1", type=NEW))
    still = await desk.do(number, "resubmit")
    assert (still.status_code, still.json()["results"][0]["code"]) == (200, "unknown_type")
    assert [row["number"] for row in await desk.listed()] == [number]  # open as before, and no second row
    await desk.define("new.kind")
    done = await desk.do(number, "resubmit")
    assert done.json()["results"][0]["outcome"] == "recorded"
    assert (await desk.activity.ledger_events())[-1]["publisher"] == "bot"
    (row,) = await desk.listed("mended")
    assert (row["settled_by"], bool(row["settled_at"])) == ("person:O1", True)
    again = await desk.do(number, "resubmit")
    assert (again.status_code, again.json()["code"]) == (409, "already_settled")
    assert again.json()["remedy"]
    assert await desk.activity.count() == 1


async def test_two_who_resubmit_at_once_record_one(desk: Desk) -> None:
    (number,) = await desk.reject(post("r1", type=NEW))
    await desk.define("new.kind")
    answers = await asyncio.gather(*(desk.do(number, "resubmit") for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert await desk.activity.count() == 1
    assert len(await desk.listed("mended")) == 1


async def test_a_resubmit_that_died_before_it_settled_the_row_is_finished_by_the_next(desk: Desk, monkeypatch) -> None:
    (number,) = await desk.reject(post("r1", type=NEW))
    await desk.define("new.kind")
    settle = quarantine.settle

    async def dies(*_: Any) -> None:
        raise asyncpg.ConnectionDoesNotExistError("the database went away")

    monkeypatch.setattr(quarantine, "settle", dies)
    assert (await desk.do(number, "resubmit")).status_code == 503
    monkeypatch.setattr(quarantine, "settle", settle)
    done = await desk.do(number, "resubmit")
    assert done.json()["results"][0]["outcome"] == "duplicate"
    assert [row["number"] for row in await desk.listed("mended")] == [number]
    assert await desk.activity.count() == 1


async def test_a_discarded_event_is_settled_and_can_be_discarded_again(desk: Desk) -> None:
    first, second = await desk.reject(post("d1", type=NEW), post("d2", type=NEW))
    assert (await desk.do(first, "discard", token=desk.activity.org.person("E1", "member"))).status_code == 403
    assert (await desk.do(first, "discard")).status_code == 204
    assert (await desk.do(first, "discard")).status_code == 204  # a command that is repeated
    assert [row["number"] for row in await desk.listed()] == [second]
    assert [(row["number"], row["settled_by"]) for row in await desk.listed("discarded")] == [(first, "person:O1")]
    await desk.define("new.kind")
    assert (await desk.do(first, "resubmit")).json()["code"] == "already_settled"
    assert (await desk.do(second, "resubmit")).status_code == 200
    refused = await desk.do(second, "discard")
    assert (refused.status_code, refused.json()["code"]) == (409, "already_settled")
    missing = await desk.do(second + 100, "discard")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_in_quarantine")
    (sent,) = await desk.activity.send(post("d1", type=NEW))  # a rejection does not use up its id
    assert sent["outcome"] == "recorded"


async def test_of_a_large_event_only_the_beginning_is_kept(desk: Desk) -> None:
    (number,) = await desk.reject(post("c1", type=NEW, data={"note": "x" * 70_000}))
    await desk.define("new.kind")
    for what, body in (("resubmit", None), ("mend", {"patch": {"subject": "E2"}})):
        answer = await desk.do(number, what, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "original_cut"), answer.text
        assert answer.json()["remedy"]
    whole = post("c1", type=NEW, data={"note": "x" * 70_000})
    assert (await desk.do(number, "mend", {"event": whole})).json()["results"][0]["outcome"] == "recorded"


async def test_a_publisher_that_was_revoked_publishes_nothing_through_the_quarantine(desk: Desk) -> None:
    (number,) = await desk.reject(post("p1", type=NEW))
    await desk.define("new.kind")
    await desk.activity.org.say(PublisherRevoked(publisher="bot"))
    await eventually(desk.activity.settled)
    desk.activity.service.publishers.forget("bot")
    answer = await desk.do(number, "resubmit")
    assert (answer.status_code, answer.json()["code"]) == (409, "unknown_publisher")
    assert answer.json()["remedy"]
    assert await desk.activity.count() == 0


async def test_what_is_too_old_or_too_many_goes(desk: Desk, monkeypatch) -> None:
    narrow = desk.activity.org.publisher("narrow", ("seo.task",))
    numbers = await desk.reject(*(post(f"o{n}", type=NEW) for n in range(6)))
    await desk.activity.send(post("n1", source="narrow"), token=narrow)
    db = desk.activity.service.db
    async with db.conn() as conn:
        for number, days in ((numbers[0], 91), (numbers[1], 89)):
            await conn.execute("UPDATE quarantine SET received_at = $2 WHERE number = $1", number, ago(days))
    assert await quarantine.sweep(db, now()) == 1
    assert [row["number"] for row in await desk.listed()][1:] == numbers[:0:-1]
    monkeypatch.setattr(quarantine, "ROWS_A_PUBLISHER", 3)
    assert await quarantine.sweep(db, now()) == 2
    left = await desk.listed()
    assert [row["number"] for row in left if row["publisher"] == "bot"] == numbers[:2:-1]  # the newest three
    assert [row["id"] for row in left if row["publisher"] == "narrow"] == ["n1"]  # another's are not its matter


def ago(days: int) -> Any:
    return now() - timedelta(days=days)


async def test_the_sweep_is_periodic_and_outlives_an_error(database, nats_server, org, monkeypatch) -> None:
    monkeypatch.setattr(app_module, "SWEEP_SECONDS", 0.05)
    sweep, calls = quarantine.sweep, 0

    async def once_broken(*args: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("a bug")
        return await sweep(*args)

    monkeypatch.setattr(app_module, "sweep", once_broken)
    await org.furnish()
    async with AsyncExitStack() as stack:
        activity = await stack.enter_async_context(running(database, nats_server, org))
        await eventually(activity.settled, timeout=20)
        desk = Desk(activity)
        (number,) = await desk.reject(post("s1", type=NEW))
        async with activity.service.db.conn() as conn:
            await conn.execute("UPDATE quarantine SET received_at = $2 WHERE number = $1", number, ago(91))

        async def gone() -> bool:
            return await desk.listed() == []

        await eventually(gone)
