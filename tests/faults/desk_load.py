"""Service desks at work on tickets: each command has a key and is sent until it is answered; what was answered is kept.

The oracle is the list of what was answered, in order: every ticket's timeline must be exactly that, nothing twice.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.local.process import RunnerError
from services.cli.access import Access
from services.kernel.positions import merge, parse
from tests.faults.stage import PATIENCE
from tests.running import RunningSystem

UNIT = "service-desk"
Told = list[tuple[str, str | None]]  # (what happened, what was said), in order


@dataclass
class DeskLoad:
    """`desks` people work side by side, each on tickets of their own, until `over`."""

    system: RunningSystem
    desks: int = 4
    pause: float = 0.02
    answered: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    told: dict[str, Told] = field(default_factory=dict)  # ticket -> what was acknowledged
    positions: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    _token: str = ""
    _run: int = 0

    async def run(self) -> None:
        self._run += 1
        async with (
            httpx.AsyncClient(base_url=self.system.url("tickets"), timeout=15) as client,
            asyncio.TaskGroup() as group,
        ):
            for desk in range(self.desks):
                group.create_task(self._work(client, f"{self._run}-{desk}"))

    async def _work(self, client: httpx.AsyncClient, desk: str) -> None:
        profile = {"profile": {"name": f"customer of {desk}"}}
        customer = (await self._command(client, "POST", "/v1/customers", profile, f"{desk}-customer"))["customer"]
        for n in itertools.count():
            if self.over.is_set():
                return
            await self._one_ticket(client, customer, f"{desk}-{n}")

    async def _one_ticket(self, client: httpx.AsyncClient, customer: str, name: str) -> None:
        opening = {"kind": "complaint", "customer": customer, "unit": UNIT, "channel": "phone", "title": name}
        ticket = (await self._command(client, "POST", "/v1/tickets", opening, f"{name}-open"))["ticket"]
        told: Told = self.told.setdefault(ticket, [])
        assert not told, f"{ticket} was given out twice"
        told.append(("ticket_opened", name))
        course: list[tuple[str, str, dict[str, Any] | None, str]] = [
            ("POST", "replies", {"text": f"{name} first"}, "ticket_replied"),
            ("POST", "notes", {"text": f"{name} note"}, "note_added"),
            ("POST", "messages", {"text": f"{name} again"}, "message_received"),
            ("POST", "replies", {"text": f"{name} second"}, "ticket_replied"),
            ("POST", "resolution", {"outcome": "solved", "text": f"{name} done"}, "ticket_resolved"),
            ("POST", "satisfaction", {"score": 4}, "satisfaction_given"),
            ("POST", "closing", None, "ticket_closed"),
        ]
        for step, (method, path, body, event) in enumerate(course):
            await self._command(client, method, f"/v1/tickets/{ticket}/{path}", body, f"{name}-{step}")
            told.append((event, (body or {}).get("text")))

    async def _command(
        self, client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None, key: str
    ) -> dict[str, Any]:
        """Send one command under its key until it is answered with success; a refusal is a failure of the test."""
        began, until = time.monotonic(), time.monotonic() + PATIENCE
        while True:
            try:
                self._token = self._token or await asyncio.to_thread(self._bearer)
                headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": key}
                answer = await client.request(method, path, json=body, headers=headers)
                if answer.status_code < 400:
                    break
                assert answer.status_code in (401, 502, 503), answer.text
                if answer.status_code == 401:
                    self._token = ""
            except (httpx.TransportError, RunnerError):
                pass  # it is down or coming up: sent again
            assert time.monotonic() < until, "not answered in time"
            await asyncio.sleep(0.1)
        self.answered += 1
        self.slowest = max(self.slowest, time.monotonic() - began)
        done: dict[str, Any] = answer.json()
        if done["positions"]:
            self.positions = merge(self.positions, parse(done["positions"]))
        await asyncio.sleep(self.pause)
        return done

    def _bearer(self) -> str:
        with Access(self.system.instance, "group_leader", unit=UNIT) as leader:
            return leader.bearer()

    async def found(self) -> dict[str, Told]:
        """Return what the service says of the same tickets, once it has folded all that was acknowledged."""
        at = ",".join(f"{ledger}:{number}" for ledger, number in self.positions.items())
        headers = {"Authorization": f"Bearer {await asyncio.to_thread(self._bearer)}"}
        async with httpx.AsyncClient(base_url=self.system.url("tickets"), headers=headers, timeout=60) as client:
            return {ticket: await self._timeline(client, ticket, at) for ticket in self.told}

    async def _timeline(self, client: httpx.AsyncClient, ticket: str, at: str) -> Told:
        answer = await client.get(f"/v1/tickets/{ticket}", params={"at_least": at})
        assert answer.status_code == 200, answer.text
        told: Told = []
        for entry in answer.json()["data"]["timeline"]:
            content = entry["content"] or {}
            told.append((entry["type"], content.get("text") or content.get("title")))
        return told
