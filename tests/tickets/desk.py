"""The tickets service on real infrastructure, with org's ledger played by the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from joserfc.jwk import OKPKey
from pydantic import BaseModel

from contracts.org import Membership, MembershipsChanged, PersonRegistered, RoleGrant, SigningKeyPublished, UnitDefined
from services.kernel.auth import Principal, issue
from services.kernel.broker import connect
from services.kernel.committer import GroupCommitter
from services.kernel.database import Database
from services.kernel.ledger import Ledger, Work
from services.kernel.migrate import migrate
from services.kernel.relay import Relay
from services.kernel.settings import Settings
from services.tickets.app import create
from services.tickets.commanding import Tickets
from tests.eventually import eventually

KEY = OKPKey.generate_key("Ed25519")
KEY_ID = "test-key"
LONG_AGO = date(2020, 1, 1)
UNITS = [
    ("centre", "centre", None),
    ("service", "department", "centre"),
    ("service-desk", "group", "service"),
    ("returns", "group", "service"),
    ("creative", "department", "centre"),
]
PEOPLE = {"Y031": "service-desk", "Y032": "service-desk", "Y041": "returns", "Y001": "centre"}


def token(person: str, *roles: tuple[str, str | None], kind: str = "person") -> str:
    """A bearer token: `token("Y031", ("member", "service-desk"))`."""
    now = datetime.now(UTC)
    grants = tuple(RoleGrant(role=role, unit=unit) for role, unit in roles)  # type: ignore[arg-type]
    principal = Principal(person, kind, grants, issued_at=now, expires_at=now + timedelta(hours=6))  # type: ignore[arg-type]
    return issue(principal, KEY, KEY_ID)


MEMBER = token("Y031", ("member", "service-desk"))
COLLEAGUE = token("Y032", ("member", "service-desk"))
HEAD = token("Y040", ("department_head", "service"))
STRANGER = token("Y041", ("member", "returns"))
DIRECTOR = token("Y001", ("director", None))
AUDITOR = token("Y002", ("auditor", None))
OPERATOR = token("Y003", ("operator", None))


def settings_for(dsn: str, server: Any) -> Settings:
    return Settings(
        service="tickets",
        database_url=dsn,
        nats_url=server.url,
        nats_user="tickets",
        nats_password=server.users["tickets"],
        org_url="http://127.0.0.1:9",
    )


@dataclass
class Desk:
    """The running service, and org's ledger in the test's hand."""

    db: Database
    org: GroupCommitter
    app: FastAPI
    client: httpx.AsyncClient

    @property
    def tickets(self) -> Tickets:
        found: Tickets = self.app.state.tickets
        return found

    async def say(self, *events: BaseModel) -> str:
        """Append org events as one commit; return its position."""

        async def decide(work: Work) -> None:
            for index, event in enumerate(events):
                work.append(f"a{index}", await work.version(f"a{index}"), [event])

        done = await self.org.submit(decide)
        return f"org:{done.positions['org']}"

    async def call(
        self, method: str, path: str, who: str = MEMBER, body: Any = None, *, key: str | None = None,
        if_match: str | None = None, **params: Any,
    ) -> httpx.Response:  # fmt: skip
        headers = {"Authorization": f"Bearer {who}"}
        headers |= {"Idempotency-Key": key} if key else {}
        headers |= {"If-Match": if_match} if if_match else {}
        return await self.client.request(method, path, json=body, params=params, headers=headers)

    async def get(self, path: str, who: str = MEMBER, **params: Any) -> httpx.Response:
        return await self.call("GET", path, who, **params)

    async def do(self, method: str, path: str, body: Any = None, who: str = MEMBER, **more: Any) -> dict[str, Any]:
        """Call and expect 200; return the answer."""
        answer = await self.call(method, path, who, body, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def refused(
        self, method: str, path: str, body: Any = None, who: str = MEMBER, **more: Any
    ) -> tuple[int, str]:
        """Call and expect a problem document; return its status and code."""
        answer = await self.call(method, path, who, body, **more)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return answer.status_code, answer.json()["code"]

    async def customer(self, name: str = "王芳", **more: Any) -> str:
        body = {"profile": {"name": name, "contacts": [{"kind": "phone", "value": "13800000000"}]}, **more}
        return str((await self.do("POST", "/v1/customers", body))["customer"])

    async def ticket(self, customer: str, *, who: str = MEMBER, **more: Any) -> str:
        body = {
            "kind": "complaint", "customer": customer, "unit": "service-desk", "channel": "phone",
            "title": "退款", "text": "还没有收到退款", **more,
        }  # fmt: skip
        return str((await self.do("POST", "/v1/tickets", body, who))["ticket"])

    async def events(self, ticket: str) -> list[tuple[str, dict[str, Any]]]:
        """A ticket's events as they stand in the ledger: (name without context and version, data)."""
        async with self.db.conn() as conn:
            found, _ = await Work(self.tickets.committer.ledger, conn).load(f"ticket:{ticket}")
        return [(event.type.split(".")[1], json.loads(bytes(event.data))) for event in found]


def levels(version: int = 1, **more: Any) -> dict[str, Any]:
    """Service levels around the clock on every day: first response in an hour, resolution in four."""
    whole_day = [{"since": "00:00", "until": "00:00"}]
    return {
        "title": "服务标准",
        "version": version,
        "effective": "2026-01-01T00:00:00+08:00",
        "calendar": {"week": {str(day): whole_day for day in range(1, 8)}, "holidays": "none"},
        "rules": [{"targets": {"first_response": 3600, "next_response": 3600, "resolution": 14400}}],
        **more,
    }


async def populate(desk: Desk) -> None:
    """Units, people and the test's signing key."""
    jwk = json.dumps(KEY.as_dict(private=False))
    await desk.say(SigningKeyPublished(key_id=KEY_ID, jwk=jwk))
    for order, (unit, kind, parent) in enumerate(UNITS):
        await desk.say(UnitDefined(unit=unit, kind=kind, name_zh=unit, name_en=unit, parent=parent, order=order))  # type: ignore[arg-type]
    at = ""
    for person, unit in PEOPLE.items():
        at = await desk.say(
            PersonRegistered(person=person, name=f"Person {person}"),
            MembershipsChanged(person=person, memberships=[Membership(unit=unit, since=LONG_AGO)]),
        )
    number = int(at.rpartition(":")[2])
    await eventually(lambda: all(p.applied.get("org", number) >= number for p in desk.app.state.projectors.values()))
    await eventually(lambda: _ready(desk.client), timeout=20)


async def _ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


@asynccontextmanager
async def service(dsn: str, server: Any) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    """The service alone, until the block ends."""
    app = create(settings_for(dsn, server))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        await eventually(lambda: not app.state.ledger.refusals)
        yield app, client


@asynccontextmanager
async def running(dsn: str, server: Any) -> AsyncIterator[Desk]:
    """The service and org's ledger, with a small organisation."""
    await migrate(dsn, "tickets")
    db = await Database.open(dsn, size=4)
    ledger = Ledger(db, "org")
    await ledger.open()
    nc = await connect(server.url, "org", server.users["org"], name="test")
    relay, committer = Relay(ledger, "org", nc), GroupCommitter(ledger)
    for part in (relay, committer):
        await part.start()
    await eventually(lambda: not ledger.refusals)
    async with service(dsn, server) as (app, client):
        desk = Desk(db, committer, app, client)
        await populate(desk)
        yield desk
    await committer.stop()
    await relay.stop()
    await nc.close()
    await db.close()
