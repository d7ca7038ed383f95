"""The NATS publisher against a real server: requests answered, inbox and receipts, what is lost is sent again."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.client import over_nats
from contracts.client.batches import PublishError
from contracts.client.over_nats import NatsPublisher
from deploy.local.nats import NatsServer


def event(number: int) -> dict[str, object]:
    return {"specversion": "1.0", "id": str(number), "source": "bot", "type": "opsledger.activity.seo.task"}


def outcomes(body: bytes) -> list[dict[str, object]]:
    return [{"index": i, "id": e["id"], "outcome": "recorded"} for i, e in enumerate(json.loads(body))]


class Service:
    """Stands in for activity: answers requests and turns inbox messages into receipts."""

    def __init__(self, nc: Client) -> None:
        self.nc = nc
        self.headers: list[dict[str, str]] = []
        self.refusals: list[bytes] = []
        self.deaf = 0  # inbox messages to lose

    async def answer(self, message: Msg) -> None:
        self.headers.append(dict(message.headers or {}))
        if self.refusals:
            await message.respond(self.refusals.pop(0))
            return
        answer = {"results": outcomes(message.data), "position": "activity.0:1"}
        await message.respond(json.dumps(answer).encode())

    async def receive(self, message: Msg) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        receipt = {"message": message.headers["Nats-Msg-Id"], "results": outcomes(message.data)}
        await self.nc.jetstream().publish("receipts.admin.activity", json.dumps(receipt).encode())


@asynccontextmanager
async def service(server: NatsServer) -> AsyncIterator[Service]:
    nc = await nats.connect(server.url, user="admin", password=server.users["admin"])
    js = nc.jetstream()
    await js.add_stream(name="INBOX", subjects=["inbox.*.*"], duplicate_window=0.1)
    await js.add_stream(name="RECEIPTS", subjects=["receipts.>"])
    await js.add_consumer("RECEIPTS", name="admin", durable_name="admin", filter_subject="receipts.admin.>")
    one = Service(nc)
    await nc.subscribe("intake.*.activity", cb=one.answer)
    await nc.subscribe("inbox.*.activity", cb=one.receive)
    await nc.flush()
    try:
        yield one
    finally:
        await nc.close()


def publisher(server: NatsServer, **options: int) -> NatsPublisher:
    return NatsPublisher(server.url, "admin", server.users["admin"], **options)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_nats, "pauses", lambda attempts: iter([0.0] * (attempts - 1)))


async def test_a_request_is_answered_event_by_event(nats_server: NatsServer) -> None:
    async with service(nats_server) as activity, publisher(nats_server, batch=2) as bot:
        results = await bot.request([event(n) for n in range(5)])
        assert [(r.index, r.id, r.outcome) for r in results] == [(n, str(n), "recorded") for n in range(5)]
        assert [headers["content-type"] for headers in activity.headers] == ["application/cloudevents-batch+json"] * 3


async def test_a_passing_refusal_is_repeated_and_a_lasting_one_is_not(nats_server: NatsServer) -> None:
    busy = json.dumps({"code": "database_gone", "status": 503}).encode()
    never = json.dumps({"code": "not_allowed", "status": 403, "detail": "not yours"}).encode()
    async with service(nats_server) as activity, publisher(nats_server, attempts=3) as bot:
        activity.refusals = [busy, busy]
        assert len(await bot.request([event(1)])) == 1
        activity.refusals = [never]
        with pytest.raises(PublishError, match="not_allowed: not yours"):
            await bot.request([event(1)])
        activity.refusals = [busy] * 3
        with pytest.raises(PublishError, match="database_gone"):
            await bot.request([event(1)])


async def test_nobody_there_is_an_error_that_says_so(nats_server: NatsServer) -> None:
    async with publisher(nats_server, attempts=2) as bot:
        with pytest.raises(PublishError, match="unreachable"):
            await bot.request([event(1)], timeout=0.2)


async def test_a_wrong_token_is_refused_at_once(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_nats, "CONNECT_SECONDS", 2.0)
    with pytest.raises(PublishError, match="unreachable"):
        async with NatsPublisher(nats_server.url, "admin", "wrong"):
            pass


async def test_receipts_follow_the_inbox(nats_server: NatsServer) -> None:
    async with service(nats_server), publisher(nats_server, batch=2) as bot:
        messages = await bot.put([event(n) for n in range(3)])
        receipts = [receipt async for receipt in bot.receipts(timeout=0.5)]
        assert [receipt.message for receipt in receipts] == messages
        assert [result.id for receipt in receipts for result in receipt.results] == ["0", "1", "2"]
        assert [receipt async for receipt in bot.receipts(timeout=0.2)] == []


async def test_what_has_no_receipt_is_sent_again(nats_server: NatsServer) -> None:
    async with service(nats_server) as activity, publisher(nats_server, batch=1) as bot:
        activity.deaf = 2
        receipts = await bot.deliver([event(n) for n in range(4)], patience=0.5)
        assert [receipt.results[0].id for receipt in receipts] == ["0", "1", "2", "3"]
        activity.deaf = 10
        with pytest.raises(PublishError, match="no_receipt: 1 message"):
            await bot.deliver([event(9)], patience=0.2, rounds=2)


async def test_the_same_events_again_get_a_receipt_again(nats_server: NatsServer) -> None:
    async with service(nats_server) as activity, publisher(nats_server) as bot:
        await activity.nc.jetstream().update_stream(name="INBOX", subjects=["inbox.*.*"], duplicate_window=120)
        for _ in range(2):
            (receipt,) = await bot.deliver([event(1)], patience=0.5, rounds=2)
            assert receipt.results[0].id == "1"


async def test_a_connection_that_the_server_has_ended_is_made_again(nats_server: NatsServer) -> None:
    """As when the admission of a publisher runs out: the library gives such a connection up for good."""
    async with service(nats_server), publisher(nats_server, attempts=2) as bot:
        for send in (bot.request, bot.put, bot.deliver):
            assert bot._client is not None
            await bot._client.close()
            assert len(await send([event(1)])) == 1  # type: ignore[operator]
