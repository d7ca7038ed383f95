"""Service desks at work: durable commands on tickets from concurrent clients, and what reads cost beside and after."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from services.cli.access import Access
from tests.benchmarks import meter
from tests.benchmarks.product import Product

CLIENTS = 16
UNIT = "team-00"
COURSE: tuple[tuple[str, dict[str, Any] | None], ...] = (
    ("replies", {"text": "您好，我们马上核实。"}),
    ("notes", {"text": "同类问题本周第三起。"}),
    ("messages", {"text": "还没有收到。"}),
    ("replies", {"text": "已经处理，请查收。"}),
    ("resolution", {"outcome": "solved", "text": "已处理完毕。"}),
    ("satisfaction", {"score": 5}),
    ("closing", None),
)


async def desks(product: Product, seconds: float, questions: int) -> dict[str, Any]:
    """Return commands a second with their percentiles (ms) and CPU each, then the reads' percentiles."""
    with Access(product.instance, "group_leader", unit=UNIT) as leader:
        headers = {"Authorization": f"Bearer {await asyncio.to_thread(leader.bearer)}"}
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(
        base_url=product.instance.url("tickets"), headers=headers, timeout=60, limits=limits
    ) as client:
        await _work(client, time.perf_counter() + 1.0, [])  # for warmth
        taken: list[float] = []
        before, began = meter.cpu_seconds(product.pids), time.perf_counter()
        await asyncio.gather(*(_work(client, began + seconds, taken) for _ in range(CLIENTS)))
        passed = time.perf_counter() - began
        spent = meter.spent(before, meter.cpu_seconds(product.pids))
        return {
            "commands": len(taken),
            "commands_per_second": round(len(taken) / passed),
            "milliseconds": meter.percentiles([one * 1e3 for one in taken]),
            "cpu_us_per_command": round(sum(spent.values()) / len(taken) * 1e6),
            "cpu_us_by_process": {name: round(one / len(taken) * 1e6) for name, one in spent.items() if one > 0.01},
            "reads": await _reads(client, questions),
        }


async def _work(client: httpx.AsyncClient, until: float, taken: list[float]) -> None:
    profile = {"profile": {"name": "周先生", "contacts": [{"kind": "phone", "value": "13800000000"}]}}
    customer = (await _command(client, "/v1/customers", profile, taken))["customer"]
    opening = {"kind": "complaint", "customer": customer, "unit": UNIT, "channel": "phone", "topic": "refund"}
    while time.perf_counter() < until:
        ticket = (await _command(client, "/v1/tickets", {**opening, "title": "退款迟迟未到"}, taken))["ticket"]
        for path, body in COURSE:
            await _command(client, f"/v1/tickets/{ticket}/{path}", body, taken)


async def _command(client: httpx.AsyncClient, path: str, body: dict[str, Any] | None, taken: list[float]) -> Any:
    began = time.perf_counter()
    answer = await client.post(path, json=body)
    taken.append(time.perf_counter() - began)
    answer.raise_for_status()
    return answer.json()


async def _reads(client: httpx.AsyncClient, count: int) -> dict[str, Any]:
    paths = {"board": "/v1/tickets?limit=50", "statistics": f"/v1/statistics?unit={UNIT}"}
    found: dict[str, Any] = {}
    for name, path in paths.items():
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            answer = await client.get(path)
            taken.append((time.perf_counter() - began) * 1e3)
            answer.raise_for_status()
        found[name] = meter.percentiles(taken)
    return found
