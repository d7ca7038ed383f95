"""A publisher of tickets, as the tests of intake tell of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from nats.aio.client import Client

from contracts.activity import IntakeAnswer
from contracts.org import RoleGrant
from services.kernel.auth import Principal, issue
from tests.tickets.desk import KEY, KEY_ID, Desk

BATCH = {"content-type": "application/cloudevents-batch+json"}
SENTENCE = "我的订单一直没有发货，请尽快处理"


def publisher(name: str = "shop") -> str:
    now = datetime.now(UTC)
    roles = (RoleGrant(role="publisher"),)
    end = now + timedelta(minutes=9)
    return issue(Principal(name, "publisher", roles, ("*",), (name,), now, end), KEY, KEY_ID)


def opened(number: str = "o1", **changes: Any) -> dict[str, Any]:
    """A complaint of 李雷 from the shop; keyword arguments replace parts of `data`, `...` leaves them out."""
    data = {
        "kind": "complaint", "customer": {"ref": "buyer-7", "name": "李雷"}, "unit": "service-desk", "channel": "web",
        "title": "没有发货", "text": SENTENCE,
    } | changes  # fmt: skip
    return event(number, "opened", {name: value for name, value in data.items() if value is not ...})


def message(number: str = "m1", **changes: Any) -> dict[str, Any]:
    data = {"opened": {"id": "o1"}, "text": "还在等"} | changes
    return event(number, "message", {name: value for name, value in data.items() if value is not ...})


def event(number: str, kind: str, data: Any, **attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": number, "source": "shop", "type": f"opsledger.ticket.{kind}",
        "time": "2026-10-17T08:30:00+08:00", "data": data,
    } | attributes  # fmt: skip


async def post(desk: Desk, *events: Any, who: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {who or publisher()}", **BATCH}
    return await desk.client.post("/v1/events", content=json.dumps(events), headers=headers)


async def send(desk: Desk, *events: Any, who: str | None = None) -> list[dict[str, Any]]:
    answer = await post(desk, *events, who=who)
    assert answer.status_code == 200, answer.text
    IntakeAnswer.model_validate(answer.json())
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def receipts(nc: Client, number: int) -> dict[str, dict[str, Any]] | None:
    js = nc.jetstream()
    info = await js.stream_info("RECEIPTS", subjects_filter="receipts.shop.tickets")
    if info.state.messages < number:
        return None
    found = [json.loads((await js.get_msg("RECEIPTS", seq=n)).data) for n in range(1, info.state.last_seq + 1)]
    return {receipt["message"]: receipt["results"][0] for receipt in found}
