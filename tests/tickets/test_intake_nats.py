"""Intake of tickets over NATS: requests, the inbox with receipts, and what the broker keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from services.kernel.broker import connect
from services.kernel.errors import Unavailable
from services.kernel.messages import Sent
from services.kernel.outcomes import Answer
from tests.eventually import eventually
from tests.tickets.desk import Desk
from tests.tickets.shop import BATCH, SENTENCE, message, opened, receipts


async def test_a_request_is_answered_after_the_commit(shop: Desk, nats: Client) -> None:
    async def ask(document: bytes, subject: str = "intake.shop.tickets", **headers: str) -> dict[str, Any]:
        reply = await nats.request(subject, document, timeout=8, headers=headers or BATCH)
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    answer = await eventually(lambda: ask(json.dumps([opened(), message()]).encode()))
    assert [result["outcome"] for result in answer["results"]] == ["recorded", "recorded"]
    assert (await shop.tickets.committer.ledger.heads())["tickets"] >= int(answer["position"].partition(":")[2])
    binary = {
        "ce-specversion": "1.0", "ce-id": "o2", "ce-source": "urn%3Ashop%3A2", "ce-type": "opsledger.ticket.opened",
        "ce-time": "2026-10-17T08:30:00Z", "content-type": "application/json",
    }  # fmt: skip
    data = json.dumps(opened(unit=...)["data"]).encode()
    [result] = (await ask(data, **binary))["results"]
    assert (result["outcome"], result["code"], result["field"]) == ("rejected", "unit_unknown", "data.unit")
    data = json.dumps(opened()["data"]).encode()
    [result] = (await ask(data, **binary))["results"]
    assert result["outcome"] == "recorded"
    structured = json.dumps(opened("o3")).encode()
    [result] = (await ask(structured, **{"content-type": "application/cloudevents+json"}))["results"]
    assert result["outcome"] == "recorded"
    assert (await ask(b"no json"))["code"] == "malformed_json"
    assert (await ask(b"[]", "intake.poster.tickets"))["code"] == "unknown_publisher"


async def test_an_inbox_message_is_decided_and_a_receipt_follows(shop: Desk, nats: Client) -> None:
    js = nats.jetstream()
    await eventually(lambda: js.consumer_info("INBOX_TICKETS", "tickets"))
    sent = {"a": opened(), "b": message(), "c": opened(), "d": opened(title="别的"), "e": None}
    for name, document in sent.items():
        body = json.dumps(document).encode() if document else b"{ broken"
        await js.publish("inbox.shop.tickets", body, headers={"Nats-Msg-Id": name})
    found = await eventually(lambda: receipts(nats, 5))
    assert [found[name]["outcome"] for name in "abcde"] == [
        "recorded", "recorded", "duplicate", "rejected", "rejected",
    ]  # fmt: skip
    assert (found["d"]["code"], found["e"]["code"]) == ("id_conflict", "malformed_json")
    assert found["a"]["subject"] == found["b"]["subject"] == found["c"]["subject"]
    assert found["a"]["commit"] == found["c"]["commit"]

    async def empty() -> bool:
        return bool((await js.stream_info("INBOX_TICKETS")).state.messages == 0)

    await eventually(empty)


async def test_no_service_reads_what_is_in_another_ones_inbox(shop: Desk, nats: Client, nats_server: Any) -> None:
    js = nats.jetstream()
    await eventually(lambda: js.consumer_info("INBOX_TICKETS", "tickets"))
    for user, stream, other in (("tickets", "INBOX", "activity"), ("activity", "INBOX_TICKETS", "tickets")):
        own = await connect(nats_server.url, user, nats_server.users[user], name="own")
        for subject in (f"MSG.NEXT.{stream}.{other}", f"DURABLE.CREATE.{stream}.mine", f"CREATE.{stream}.mine"):
            with pytest.raises(TimeoutError):  # the broker does not let it through
                await own.request(f"$JS.API.CONSUMER.{subject}", b"{}", timeout=0.3)
        await own.close()
    for user in ("activity", "kpi", "portal"):
        own = await connect(nats_server.url, user, nats_server.users[user], name="own")
        with pytest.raises(TimeoutError):
            await own.request("$JS.API.STREAM.MSG.GET.INBOX_TICKETS", b'{"seq": 1}', timeout=0.3)
        await own.close()
    assert (await js.stream_info("INBOX_TICKETS")).config.max_age == 7 * 24 * 3600


async def test_the_broker_keeps_nothing_of_what_was_decided(
    shop: Desk, nats: Client, nats_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    js = nats.jetstream()
    intake = shop.app.state.intake
    submit = intake.submit

    async def not_now(sent: Sent) -> Answer:
        if sent.publisher == "later":
            raise Unavailable("outcome_unknown", "the database is away")
        return await submit(sent)

    monkeypatch.setattr(intake, "submit", not_now)
    await eventually(lambda: js.consumer_info("INBOX_TICKETS", "tickets"))
    await js.publish("inbox.later.tickets", SENTENCE.encode())  # stays, so that the others' block on disk does
    await js.publish("inbox.shop.tickets", json.dumps(opened(), ensure_ascii=False).encode())
    await js.publish("inbox.shop.tickets", json.dumps(opened(kind="?"), ensure_ascii=False).encode())
    await eventually(lambda: receipts(nats, 2))

    def left() -> int:
        files = [path for path in Path(nats_server.store_dir).rglob("*") if path.is_file()]
        return sum(path.read_bytes().count(SENTENCE.encode()) for path in files)

    await eventually(lambda: left() == 1)
