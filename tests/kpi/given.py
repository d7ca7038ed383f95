"""The kpi service on real infrastructure, with the ledgers of org and activity played by the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from joserfc.jwk import OKPKey
from pydantic import BaseModel

from contracts.activity import ActivityRecorded, ActivityRef, ActivityVoided
from contracts.org import (
    AccountRegistered,
    Membership,
    MembershipsChanged,
    PersonRegistered,
    RoleGrant,
    SigningKeyPublished,
    UnitDefined,
    Validity,
)
from services.kernel.auth import Principal, issue
from services.kernel.broker import connect
from services.kernel.codec import encode_event
from services.kernel.committer import GroupCommitter
from services.kernel.database import Database
from services.kernel.ledger import Ledger, Work
from services.kernel.migrate import migrate
from services.kernel.relay import Relay
from services.kernel.settings import Settings
from services.kpi.app import create
from services.kpi.context import Kpi
from tests.eventually import eventually

LONG_AGO = date(2020, 1, 1)
KEY = OKPKey.generate_key("Ed25519")
KEY_ID = "test-key"
UNITS = [
    ("centre", "centre", None),
    ("promotion", "department", "centre"),
    ("commercial", "group", "promotion"),
    ("public-interest", "group", "promotion"),
    ("channel", "group", "promotion"),
    ("creative", "department", "centre"),
]


def settings_for(dsn: str, server: Any, shards: int = 1) -> Settings:
    return Settings(
        service="kpi",
        database_url=dsn,
        nats_url=server.url,
        nats_user="kpi",
        nats_password=server.users["kpi"],
        org_url="http://127.0.0.1:9",
        activity_url="http://127.0.0.1:9",
        activity_shards=shards,
    )


def token(person: str, *roles: tuple[str, str | None]) -> str:
    now = datetime.now(UTC)
    grants = tuple(RoleGrant(role=role, unit=unit) for role, unit in roles)  # type: ignore[arg-type]
    principal = Principal(person, "person", grants, issued_at=now, expires_at=now + timedelta(minutes=9))
    return issue(principal, KEY, KEY_ID)


def activity(
    person: str, kind: str, day: date, *, event_id: str = "", platform: str | None = None, **data: Any
) -> ActivityRecorded:
    """An activity at local noon in Shanghai; `platform` only where it is sent."""
    if platform is not None:
        data["platform"] = platform
    at = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    return ActivityRecorded(
        source="/test", id=event_id or f"{person}-{kind}-{day}-{json.dumps(data, sort_keys=True)}", type=kind,
        subject=person, time=at, day=day, data=data, publisher="test",
    )  # fmt: skip


def void(target: ActivityRecorded) -> ActivityVoided:
    ref = ActivityRef(source=target.source, id=target.id)
    return ActivityVoided(target=ref, reason="wrong", by="person:1", counted=target)


@dataclass
class Owners:
    """What the owners of the other ledgers answer when they are asked how far they are."""

    silent: bool = False
    ahead: int = 0  # commits that they have beyond what there is
    refusals: dict[str, str] = field(default_factory=dict)


@dataclass
class World:
    """Other contexts' ledgers, and the running service."""

    db: Database
    org: GroupCommitter
    activity: GroupCommitter
    app: FastAPI
    client: httpx.AsyncClient
    owners: Owners = field(default_factory=lambda: Owners())

    @property
    def kpi(self) -> Kpi:
        found: Kpi = self.app.state.kpi
        return found

    async def say(self, *events: BaseModel) -> str:
        """Append org events as one commit; return its position."""

        async def decide(work: Work) -> None:
            for index, event in enumerate(events):
                aggregate = f"a{index}"
                work.append(aggregate, await work.version(aggregate), [event])

        done = await self.org.submit(decide)
        return f"org:{done.positions['org']}"

    async def happen(self, *events: BaseModel, shard: int = 0) -> str:
        """Append activity events as one commit; return its position."""
        encoded = [
            encode_event(event, event_id=f"e{i}", source="/opsledger/activity", time=datetime.now(UTC))
            for i, event in enumerate(events)
        ]

        async def decide(work: Work) -> None:
            await work.append_raw(shard, encoded)

        done = await self.activity.submit(decide)
        return ",".join(f"{ledger}:{number}" for ledger, number in done.positions.items())

    async def say_something(self) -> str:
        """Append an org commit that changes nothing that counts."""
        return await self.say(PersonRegistered(person="9", name="Nobody"))

    async def get(self, path: str, who: str, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers={"Authorization": f"Bearer {who}"})

    async def data(self, path: str, who: str, **params: Any) -> Any:
        answer = await self.get(path, who, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def post(self, path: str, who: str, body: Any) -> httpx.Response:
        return await self.client.post(path, json=body, headers={"Authorization": f"Bearer {who}"})


@asynccontextmanager
async def owners(world: World) -> AsyncIterator[None]:
    """Answer `/v1/ledger/head` over HTTP for org and activity, as `world.owners` says."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                async with world.db.conn() as conn:
                    rows = await conn.fetch("SELECT ledger, number FROM ledger_head WHERE ledger <> 'kpi'")
                heads = {row["ledger"]: row["number"] + world.owners.ahead for row in rows}
                body = json.dumps({"heads": heads, "refusals": world.owners.refusals}).encode()
                status = b"503 Unavailable" if world.owners.silent else b"200 OK"
                head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                writer.write(head % (status, len(body)) + body)
                await writer.drain()

    async def service_token() -> str:
        return "token"

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    world.kpi.heads._urls = {"org": url, "activity": url}
    world.kpi.heads._tokens = service_token  # type: ignore[assignment]
    yield
    server.close()


async def populate(world: World) -> str:
    """Units, four people in two groups, one outside; accounts; the test's signing key."""
    jwk = json.dumps(KEY.as_dict(private=False))
    await world.say(SigningKeyPublished(key_id=KEY_ID, jwk=jwk))
    for order, (unit, kind, parent) in enumerate(UNITS):
        defined = UnitDefined(unit=unit, kind=kind, name_zh=unit, name_en=unit, parent=parent, order=order)  # type: ignore[arg-type]
        await world.say(defined)
    homes = {"1": "commercial", "2": "commercial", "3": "public-interest", "4": "creative"}
    at = ""
    for person, unit in homes.items():
        at = await world.say(
            PersonRegistered(person=person, name=f"Person {person}"),
            MembershipsChanged(person=person, memberships=[Membership(unit=unit, since=LONG_AGO)]),
            AccountRegistered(
                platform="blog", handle=f"blog-{person}", owner=person, registered=[Validity(since=LONG_AGO)]
            ),
        )
    return at


@asynccontextmanager
async def running(dsn: str, server: Any, *, shards: int = 1) -> AsyncIterator[World]:
    """Start everything; the caller populates."""
    await migrate(dsn, "kpi")
    db = await Database.open(dsn, size=6)
    committers: list[GroupCommitter] = []
    parts: list[Any] = []
    connections = []
    for ledger in (Ledger(db, "org"), Ledger(db, "activity", shards=shards, sharded=True)):
        await ledger.open()
        nc = await connect(server.url, ledger.context, server.users[ledger.context], name="test")
        connections.append(nc)
        relays = [Relay(ledger, name, nc) for name in ledger.names]
        committer = GroupCommitter(ledger)
        for part in (*relays, committer):
            await part.start()
            parts.append(part)
        await eventually(lambda ledger=ledger: not ledger.refusals)
        committers.append(committer)
    app = create(settings_for(dsn, server, shards))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kpi") as client,
    ):
        world = World(db, *committers, app, client)
        await eventually(lambda: not world.kpi.ledger.refusals)
        yield world
    for part in reversed(parts):
        await part.stop()
    for nc in connections:
        await nc.close()
    await db.close()


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Quota -> done, for reading in a test."""
    return {row["quota"]: row["done"] for row in rows}
