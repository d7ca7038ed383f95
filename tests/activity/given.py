"""What activity's tests are told with: an organisation, a running service, events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
from joserfc.jwk import OKPKey
from pydantic import BaseModel

from contracts.org import (
    AccountRegistered,
    Membership,
    MembershipsChanged,
    PersonRegistered,
    PublisherRegistered,
    RoleGrant,
    SigningKeyPublished,
    UnitDefined,
    Validity,
)
from services.activity.app import create
from services.activity.service import Service
from services.kernel.auth import Principal, issue
from services.kernel.broker import connect
from services.kernel.clock import now
from services.kernel.committer import GroupCommitter
from services.kernel.database import Database
from services.kernel.ledger import Ledger, Work
from services.kernel.relay import Relay
from services.kernel.schema import KERNEL_SQL
from services.kernel.settings import Settings
from tests.eventually import eventually

DAY = date(2020, 1, 1)


class Org:
    """The owner of the org ledger, without the org service: appends events and issues tokens."""

    def __init__(self, db: Database, nc: Any, ledger: Ledger, committer: GroupCommitter, relay: Relay) -> None:
        self.db, self.nc, self.ledger, self.committer, self.relay = db, nc, ledger, committer, relay
        self.key = OKPKey.generate_key("Ed25519")

    @classmethod
    async def open(cls, dsn: str, server: Any) -> Org:
        db = await Database.open(dsn, size=4)
        async with db.conn() as conn:
            await conn.execute(KERNEL_SQL)
        nc = await connect(server.url, "org", server.users["org"], name="org")
        ledger = Ledger(db, "org")
        await ledger.open()
        relay, committer = Relay(ledger, "org", nc), GroupCommitter(ledger)
        await relay.start()
        await committer.start()
        await eventually(lambda: not ledger.refusals)
        return cls(db, nc, ledger, committer, relay)

    async def close(self) -> None:
        await self.relay.stop()
        await self.committer.stop()
        await self.nc.close()
        await self.db.close()

    async def say(self, *events: BaseModel) -> int:
        """Append events in one commit; return its number."""

        async def decide(work: Work) -> None:
            work.append("org", await work.version("org"), list(events))

        return (await self.committer.submit(decide)).positions["org"]

    async def furnish(self) -> int:
        jwk = json.dumps(self.key.as_dict(private=False))
        return await self.say(
            SigningKeyPublished(key_id="k1", jwk=jwk),
            UnitDefined(unit="centre", kind="centre", name_zh="中心", name_en="centre"),
            UnitDefined(unit="d1", kind="department", name_zh="部", name_en="department", parent="centre"),
            UnitDefined(unit="g1", kind="group", name_zh="组", name_en="group", parent="d1"),
            PersonRegistered(person="E1", name="甲"),
            PersonRegistered(person="E2", name="乙"),
            PersonRegistered(person="X9", name="外"),
            member("E1", "g1"),
            member("E2", "g1"),
            account("weibo", "w1"),
            account("天涯论坛", "t1"),
            account("blog", "b1"),
            PublisherRegistered(publisher="bot", types=["*"], sources=["bot", "urn:bot:2"]),
            PublisherRegistered(publisher="narrow", types=["seo.task"], sources=["narrow"]),
        )

    def token(self, principal: Principal) -> str:
        return issue(principal, self.key, "k1")

    def publisher(self, name: str = "bot", types: tuple[str, ...] = ("*",), sources: tuple[str, ...] = ()) -> str:
        return self.token(
            Principal(name, "publisher", (RoleGrant(role="publisher"),), types, sources or (name,), now(), now() + HOUR)
        )

    def person(self, number: str, role: Any, unit: str | None = None) -> str:
        return self.token(Principal(number, "person", (RoleGrant(role=role, unit=unit),), (), (), now(), now() + HOUR))


HOUR = timedelta(minutes=9)


def member(number: str, unit: str) -> MembershipsChanged:
    return MembershipsChanged(person=number, memberships=[Membership(unit=unit, since=DAY)])


def account(platform: str, handle: str) -> AccountRegistered:
    return AccountRegistered(platform=platform, handle=handle, registered=[Validity(since=DAY)])


@dataclass
class Running:
    """The service with a client for each kind of caller."""

    app: Any
    client: httpx.AsyncClient
    org: Org
    nats_server: Any

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service

    async def settled(self) -> bool:
        answer = await self.client.get("/readyz")
        folded = self.service.intake.rests_on().get("org", 0)
        return answer.status_code == 200 and folded >= (await self.org.ledger.heads())["org"]

    def headers(self, token: str | None = None, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token or self.org.publisher()}", **more}

    async def post(self, events: Any, token: str | None = None, **headers: str) -> httpx.Response:
        kind = "application/cloudevents-batch+json" if isinstance(events, list) else "application/cloudevents+json"
        return await self.client.post(
            "/v1/events", content=json.dumps(events), headers={"content-type": kind, **self.headers(token, **headers)}
        )

    async def send(self, *events: dict[str, Any], token: str | None = None) -> list[dict[str, Any]]:
        answer = await self.post(list(events), token)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    async def get(self, path: str, token: str | None = None, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=self.headers(token or self.director))

    @property
    def director(self) -> str:
        return self.org.person("D1", "director")

    async def ledger_events(self) -> list[dict[str, Any]]:
        """Every activity event of every shard, in order."""
        from services.kernel.archive import read_commits

        events = []
        for name in self.service.ledger.names:
            for commit in await read_commits(self.service.db, name, 0, 100_000):
                for event in commit.events():
                    body = json.loads(bytes(event.data))
                    events.append({"commit": commit.position, "fact": event.type, **body})
        return [event for event in events if event["fact"] != "activity.type_defined.v1"]

    async def count(self) -> int:
        """What the ledger's facts add up to."""
        total = 0
        for event in await self.ledger_events():
            if event["fact"] == "activity.recorded.v1":
                total += event["data"].get("quantity", 1)
            elif event["fact"] == "activity.voided.v1" and event.get("counted"):
                total -= event["counted"]["data"].get("quantity", 1)
        return total


@asynccontextmanager
async def running(dsn: str, server: Any, org: Org, shards: int = 1) -> AsyncIterator[Running]:
    """Open the app as uvicorn would."""
    settings = Settings(
        service="activity",
        database_url=dsn,
        nats_url=server.url,
        nats_user="activity",
        nats_password=server.users["activity"],
        activity_shards=shards,
        org_url="http://127.0.0.1:9",
    )
    app = create(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://activity", timeout=30) as client:
            yield Running(app, client, org, server)


def post(number: str = "1", **changes: Any) -> dict[str, Any]:
    """A Weibo post of E1 from `bot`; keyword arguments replace attributes, `data` is merged."""
    data = {"account": "w1", "form": "original", "title": "上海 an original"} | changes.pop("data", {})
    event = {
        "specversion": "1.0",
        "id": number,
        "source": "bot",
        "type": "opsledger.activity.weibo.post",
        "subject": "E1",
        "time": "2026-10-17T08:30:00+08:00",
        "data": {name: value for name, value in data.items() if value is not ...},
    } | changes
    return {name: value for name, value in event.items() if value is not ...}


def void(target: str = "1", number: str = "v1", source: str = "bot", **changes: Any) -> dict[str, Any]:
    """A void of `bot`."""
    return {
        "specversion": "1.0",
        "id": number,
        "source": source,
        "type": "opsledger.activity.voided",
        "time": "2026-10-18T08:30:00+08:00",
        "data": {"target": {"source": "bot", "id": target}, "reason": "mistake"},
    } | changes
