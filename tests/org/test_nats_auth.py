"""Publishers on NATS: admitted by the call-out, confined to what is their own, cut off when they are revoked."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import nats.errors
import pytest
from nacl.signing import SigningKey
from nats.aio.client import Client
from nats.js.api import StreamConfig

from contracts.activity import Receipt
from contracts.client.over_nats import NatsPublisher
from contracts.subjects import INBOX_STREAM, INBOX_SUBJECTS, RECEIPTS_STREAM, RECEIPTS_SUBJECTS
from deploy.local.nats import NatsServer
from services.org.nats_auth import BadRequest, read_request
from tests.eventually import eventually
from tests.org.conftest import Org

Pair = tuple[Org, NatsServer]


async def token_of(org: Org, publisher: str) -> str:
    body = {"types": ["*"], "sources": [publisher]}
    assert (await org.put(f"/v1/publishers/{publisher}", body, role="operator")).status_code == 200
    return str((await org.post(f"/v1/publishers/{publisher}/token", role="operator")).json()["token"])


class Connection:
    def __init__(self, nc: Client, errors: list[str], closed: asyncio.Event) -> None:
        self.nc, self.errors, self.closed = nc, errors, closed

    async def may_not_publish(self, subject: str) -> None:
        before = len(self.errors)
        await self.nc.publish(subject, b"{}")
        await self.nc.flush()
        await eventually(lambda: len(self.errors) > before, timeout=5)
        assert "permissions violation for publish" in self.errors[-1].lower(), self.errors[-1]


@asynccontextmanager
async def connected(server: NatsServer, publisher: str, token: str, **more: object) -> AsyncIterator[Connection]:
    errors: list[str] = []
    closed = asyncio.Event()

    async def on_error(error: Exception) -> None:
        errors.append(str(error))

    async def on_closed() -> None:
        closed.set()

    nc = await nats.connect(
        server.url, user=publisher, password=token, inbox_prefix=f"_INBOX.{publisher}", error_cb=on_error,
        disconnected_cb=on_closed, connect_timeout=5, **{"allow_reconnect": False, **more},
    )  # fmt: skip
    try:
        yield Connection(nc, errors, closed)
    finally:
        await nc.close()


@asynccontextmanager
async def activity(server: NatsServer) -> AsyncIterator[Client]:
    """The activity service's own connection, with the streams that it makes."""
    nc = await nats.connect(server.url, user="activity", password=server.users["activity"])
    js = nc.jetstream()
    await js.add_stream(StreamConfig(name=INBOX_STREAM, subjects=[INBOX_SUBJECTS]))
    await js.add_stream(StreamConfig(name=RECEIPTS_STREAM, subjects=[RECEIPTS_SUBJECTS]))
    try:
        yield nc
    finally:
        await nc.close()


async def test_a_new_publisher_connects_without_a_restart_and_a_wrong_token_does_not(org_with_callout: Pair) -> None:
    org, server = org_with_callout
    with pytest.raises(nats.errors.Error):
        async with connected(server, "bot-a", "no-token-yet"):
            pass
    token = await token_of(org, "bot-a")
    async with connected(server, "bot-a", token) as bot:
        assert bot.nc.is_connected
    for publisher, wrong in (("bot-a", token + "x"), ("bot-a", ""), ("bot-b", token), ("Bad Name", token)):
        with pytest.raises(nats.errors.Error):
            async with connected(server, publisher, wrong):
                pass


async def test_a_publisher_says_only_what_is_its_own(org_with_callout: Pair) -> None:
    org, server = org_with_callout
    tokens = {name: await token_of(org, name) for name in ("bot-a", "bot-b")}
    async with activity(server) as service, connected(server, "bot-a", tokens["bot-a"]) as bot:
        ack = await bot.nc.jetstream().publish("inbox.bot-a.activity", b"[]")
        assert ack.stream == INBOX_STREAM

        async def answer(message: nats.aio.msg.Msg) -> None:
            await message.respond(b"recorded")

        await service.subscribe("intake.*.activity", cb=answer)
        await service.flush()
        assert (await bot.nc.request("intake.bot-a.activity", b"[]", timeout=5)).data == b"recorded"
        for foreign in (
            "inbox.bot-b.activity",
            "intake.bot-b.activity",
            "inbox.bot-a.tickets",
            "ledger.org.e1",
            "ledger.activity.0.e1",
            "receipts.bot-a.activity",
            "$JS.API.STREAM.DELETE.INBOX",
            "$JS.API.STREAM.PURGE.ORG",
            "$JS.API.CONSUMER.CREATE.INBOX.bot-a",
            "$JS.API.CONSUMER.CREATE.ORG.bot-a.ledger.org.e1",
            "$JS.API.CONSUMER.CREATE.RECEIPTS.bot-a.receipts.bot-a.>",
            "$JS.API.CONSUMER.DURABLE.CREATE.RECEIPTS.bot-a",
            "$JS.API.CONSUMER.INFO.RECEIPTS.bot-b",
            "$JS.API.CONSUMER.MSG.NEXT.RECEIPTS.bot-b",
            "$SYS.REQ.USER.AUTH",
            "_INBOX.bot-b.x",
        ):
            await bot.may_not_publish(foreign)


async def test_a_publisher_hears_only_its_own_receipts(org_with_callout: Pair) -> None:
    org, server = org_with_callout
    tokens = {name: await token_of(org, name) for name in ("bot-a", "bot-b")}
    async with activity(server) as service, connected(server, "bot-a", tokens["bot-a"]) as bot:
        await service.jetstream().publish("receipts.bot-a.activity", b"mine")
        await service.jetstream().publish("receipts.bot-b.activity", b"theirs")
        js = bot.nc.jetstream(timeout=1)
        mine = await js.pull_subscribe_bind(consumer="bot-a", stream=RECEIPTS_STREAM, inbox_prefix=b"_INBOX.bot-a.")
        received = await mine.fetch(10, timeout=1)
        assert [message.data for message in received] == [b"mine"]
        await received[0].ack_sync(timeout=2)
        for foreign in ("receipts.>", "_INBOX.bot-b.>", ">", "ledger.>"):
            before = len(bot.errors)
            await bot.nc.subscribe(foreign)
            await eventually(lambda seen=before: len(bot.errors) > seen, timeout=5)
            assert "subscription" in bot.errors[-1].lower()


async def test_receipts_are_read_with_the_publisher_s_kit_even_if_their_stream_came_later(
    org_with_callout: Pair,
) -> None:
    org, server = org_with_callout
    token = await token_of(org, "bot-a")
    async with NatsPublisher(server.url, "bot-a", token) as kit, activity(server) as service:
        receipt = Receipt(message="m1", results=[])
        await service.jetstream().publish("receipts.bot-a.activity", receipt.model_dump_json().encode())

        async def read() -> list[Receipt]:
            return [found async for found in kit.receipts(timeout=0.5)]

        assert await eventually(read, timeout=10) == [receipt]


async def test_no_reply_of_a_request_lands_in_a_ledger_s_stream_or_a_foreign_inbox(org_with_callout: Pair) -> None:
    org, server = org_with_callout
    token = await token_of(org, "bot-a")
    async with activity(server) as service, connected(server, "bot-a", token) as bot:
        js = service.jetstream()

        async def answer(message: nats.aio.msg.Msg) -> None:
            await message.respond(b"recorded")

        await service.subscribe("intake.*.activity", cb=answer)
        await service.flush()
        await js.publish("receipts.bot-a.activity", b"mine")
        asked = (
            "$JS.API.CONSUMER.INFO.RECEIPTS.bot-a",
            "$JS.API.CONSUMER.MSG.NEXT.RECEIPTS.bot-a",
            "intake.bot-a.activity",
        )
        before = [(await js.stream_info(name)).state.last_seq for name in ("ORG", "INBOX", "RECEIPTS")]
        for subject in asked:
            for reply in ("ledger.org.e1", "inbox.bot-b.activity", "receipts.bot-b.activity"):
                await bot.nc.publish(subject, b"", reply=reply)
        await bot.nc.publish("inbox.bot-a.activity", b"counted", reply="ledger.org.e1")

        async def arrived() -> bool:
            return bool((await js.stream_info("INBOX")).state.last_seq == before[1] + 1)

        await eventually(arrived, timeout=5)
        assert (await bot.nc.request("intake.bot-a.activity", b"", timeout=5)).data == b"recorded"  # all is handled
        after = [(await js.stream_info(name)).state.last_seq for name in ("ORG", "INBOX", "RECEIPTS")]
        assert after == [before[0], before[1] + 1, before[2]]


async def test_a_revoked_publisher_is_cut_off_at_once_and_does_not_come_back(org_with_callout: Pair) -> None:
    org, server = org_with_callout
    token = await token_of(org, "bot-a")
    other = await token_of(org, "bot-b")
    async with connected(server, "bot-a", token) as bot, connected(server, "bot-b", other) as bystander:
        await bot.nc.flush()
        assert (await org.call("DELETE", "/v1/publishers/bot-a", role="operator")).json()["changed"] is True
        await asyncio.wait_for(bot.closed.wait(), timeout=10)
        await bystander.nc.flush()
        assert bystander.nc.is_connected
    with pytest.raises(nats.errors.Error):
        async with connected(server, "bot-a", token):
            pass


async def test_a_rotated_token_ends_the_connections_of_the_old_one(org_with_callout: Pair) -> None:
    org, server = org_with_callout
    token = await token_of(org, "bot-a")
    async with connected(server, "bot-a", token) as bot:
        new = (await org.post("/v1/publishers/bot-a/token/rotation", role="operator")).json()["token"]
        await asyncio.wait_for(bot.closed.wait(), timeout=10)
    async with connected(server, "bot-a", new) as bot:
        assert bot.nc.is_connected


async def test_services_are_static_users_who_need_no_call_out(org_with_callout: Pair) -> None:
    _, server = org_with_callout
    nc = await nats.connect(server.url, user="kpi", password=server.users["kpi"])
    assert nc.is_connected
    await nc.close()
    with pytest.raises(nats.errors.Error):
        await nats.connect(server.url, user="kpi", password="wrong", allow_reconnect=False, connect_timeout=5)


def test_a_request_that_no_server_signed_is_not_answered() -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    public = bytes(SigningKey(b"s" * 32).verify_key)
    name = base64.b32encode(bytes([13 << 3]) + public + b"cs").decode().rstrip("=")
    claims = {"iss": name, "nats": {"type": "authorization_request", "server_id": {"id": name}}}
    signed = f"{part({'alg': 'ed25519-nkey'})}.{part(claims)}"

    def with_signature_of(seed: bytes) -> str:
        signature = SigningKey(seed).sign(signed.encode()).signature
        return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    assert read_request(with_signature_of(b"s" * 32))["type"] == "authorization_request"
    with pytest.raises(BadRequest):
        read_request(with_signature_of(b"x" * 32))
