"""What is too large for a commit is its own sender's matter: it is rejected alone, whatever it came with."""

from __future__ import annotations

import asyncio
import random

from nats.aio.msg import Msg

from services.activity.messages import MessageIntake
from services.kernel.errors import Unavailable
from services.kernel.messages import Messages
from services.kernel.receipts import Receipts
from tests.activity.given import Running, post
from tests.eventually import eventually

NOISE = random.Random(7).randbytes(600_000).hex()  # 1.2 MB that do not pack


async def test_an_event_too_large_for_a_commit_is_rejected_alone(activity: Running) -> None:
    results = await activity.send(post("1"), post("2", data={"note": NOISE}), post("3"))
    assert [result["outcome"] for result in results] == ["recorded", "rejected", "recorded"]
    assert (results[1]["code"], results[1]["field"]) == ("event_too_large", "data")
    assert results[1]["remedy"]


async def test_an_event_too_large_takes_no_other_request_along(activity: Running) -> None:
    many = [activity.send(post(f"good-{n}")) for n in range(10)]
    many.insert(5, activity.send(post("large", data={"note": NOISE})))
    answers = await asyncio.gather(*many)
    assert [answer[0]["outcome"] for answer in answers].count("recorded") == 10


async def test_a_limit_set_lower_refuses_the_large_request_only(activity: Running) -> None:
    activity.service.ledger.limit = 50_000
    intake = activity.service.intake
    for task in intake._tasks:  # so that all of them are decided together
        task.cancel()
    await asyncio.gather(*intake._tasks, return_exceptions=True)
    asked = [activity.post([post(f"good-{n}")]) for n in range(3)]
    asked.append(activity.post([post("large", data={"note": NOISE[:100_000]})]))
    waiting = [asyncio.create_task(one) for one in asked]
    await eventually(lambda: intake._queue.qsize() == 4)
    await intake.start()
    answers = await asyncio.gather(*waiting)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 413]


async def test_an_inbox_message_that_cannot_be_kept_now_stays(activity: Running, monkeypatch) -> None:
    receipts = Receipts(activity.org.nc, "activity")
    messages = Messages(MessageIntake(activity.service), activity.service.settings, receipts)
    unreadable = Msg(None, "inbox.bot.activity", data=b"{ broken", headers={"Nats-Msg-Id": "m"})  # type: ignore[arg-type]
    outcome = await messages._one(unreadable)
    assert outcome is not None
    assert outcome[1].results[0].code == "malformed_json"

    async def away(_) -> None:
        raise Unavailable("outcome_unknown", "the database is away")

    monkeypatch.setattr(activity.service.intake, "submit", away)
    assert await messages._one(unreadable) is None
