"""Activity over NATS: requests answered after the commit, the inbox with receipts, a broker that lost everything."""

from __future__ import annotations

import json

import pytest

from services.kernel.broker import connect
from tests.activity.given import account, post
from tests.eventually import eventually

BATCH = {"content-type": "application/cloudevents-batch+json"}


@pytest.fixture
async def publisher(nats_server):
    nc = await connect(nats_server.url, "admin", nats_server.users["admin"], name="bot")
    yield nc
    await nc.close()


async def receipts(nc, publisher="bot"):
    js = nc.jetstream()
    info = await js.stream_info("RECEIPTS", subjects_filter=f"receipts.{publisher}.activity")
    found = []
    for sequence in range(1, info.state.last_seq + 1):
        message = await js.get_msg("RECEIPTS", seq=sequence)
        found.append(json.loads(message.data))
    return found


async def test_requests_and_inbox_end_in_the_same_intake(activity, publisher):
    async def ask(document, **headers):
        reply = await publisher.request("intake.bot.activity", document, timeout=5, headers=headers or BATCH)
        return json.loads(reply.data)

    first = await eventually(lambda: ask(json.dumps([post(), post("2")]).encode()))
    assert [r["outcome"] for r in first["results"]] == ["recorded", "recorded"]
    assert first["position"] == first["results"][1]["commit"]
    binary = {
        "ce-specversion": "1.0", "ce-id": "3", "ce-source": "bot", "ce-type": "opsledger.activity.seo.task",
        "ce-subject": "E1", "ce-time": "2026-10-17T08:30:00Z", "content-type": "application/json",
    }  # fmt: skip
    assert (await ask(b"{}", **binary))["results"][0]["outcome"] == "recorded"
    assert (await ask(b"no json"))["code"] == "malformed_json"
    stranger = await publisher.request("intake.stranger.activity", b"[]", timeout=8)
    assert json.loads(stranger.data)["code"] == "unknown_publisher"

    js = publisher.jetstream()
    await js.publish("inbox.bot.activity", json.dumps(post("2")).encode(), headers={"Nats-Msg-Id": "m1"})
    await js.publish("inbox.bot.activity", b"{ broken", headers={"Nats-Msg-Id": "m2"})
    held = post("4", data={"account": "new"})
    await js.publish("inbox.bot.activity", json.dumps(held).encode(), headers={"Nats-Msg-Id": "m3"})
    await eventually(lambda: _enough(publisher, 3))
    outcomes = {r["message"]: r["results"][0] for r in await receipts(publisher)}
    assert outcomes["m1"]["outcome"] == "duplicate"
    assert (outcomes["m2"]["outcome"], outcomes["m2"]["code"]) == ("rejected", "malformed_json")
    assert (outcomes["m3"]["outcome"], outcomes["m3"]["code"]) == ("held", "unknown_account")

    async def acknowledged():
        return (await js.stream_info("INBOX")).state.messages == 0

    await eventually(acknowledged)
    await activity.org.say(account("weibo", "new"))
    second = (await eventually(lambda: _enough(publisher, 4), timeout=15))[-1]
    assert (second["message"], second["results"][0]["code"]) == ("m3", "after_hold")
    assert second["results"][0]["commit"]
    assert await activity.count() == 4


async def _enough(publisher, number):
    found = await receipts(publisher)
    return found if len(found) >= number else None


async def test_a_broker_that_lost_its_volume_is_served_again(activity, publisher, nats_server):
    js = publisher.jetstream()
    await eventually(lambda: js.stream_info("INBOX"))
    nats_server.kill()
    nats_server.wipe()
    nats_server.start()

    async def put():
        await js.publish("inbox.bot.activity", json.dumps(post("9")).encode(), timeout=1)
        return await _enough(publisher, 1)

    found = await eventually(put, timeout=30, every=0.3)
    assert found[0]["results"][0]["outcome"] in ("recorded", "duplicate")
    assert await activity.count() == 1
