"""A running org service against real PostgreSQL and NATS, and a client that speaks in any role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deploy.local.nats import SYSTEM_USER, NatsServer
from services.kernel.settings import Settings
from services.org.app import create
from tests.conftest import Callout
from tests.eventually import eventually

SECRET = "the-instance's-own-secret"


class Org:
    """The service over HTTP. `await org.get("/v1/people", role="member")` signs in as the role first."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings, app: Any) -> None:
        self.client, self.settings, self.app = client, settings, app
        self._tokens: dict[tuple[str | None, ...], str] = {}

    async def grant(self, **grant: Any) -> httpx.Response:
        return await self.client.post("/v1/token", json=grant)

    async def bearer(self, role: str, person: str | None = None, unit: str | None = None) -> str:
        key = (role, person, unit)
        if key not in self._tokens:
            who = {name: value for name, value in (("person", person), ("unit", unit)) if value}
            answer = await self.grant(grant="instance", secret=SECRET, role=role, **who)
            assert answer.status_code == 200, answer.text
            self._tokens[key] = answer.json()["access_token"]
        return self._tokens[key]

    async def call(
        self,
        method: str,
        path: str,
        *,
        role: str = "director",
        person: str | None = None,
        unit: str | None = None,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        authorisation = {"Authorization": f"Bearer {await self.bearer(role, person, unit)}"}
        return await self.client.request(method, path, headers={**authorisation, **(headers or {})}, **request)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.call("GET", path, **more)

    async def put(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return await self.call("PUT", path, json=body, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.call("POST", path, json=body, **more)

    async def apply(self, text: str, *, dry_run: bool = False, kind: str = "application/yaml", **more: Any) -> Any:
        return await self.call(
            "POST",
            f"/v1/organisation/import?dry_run={str(dry_run).lower()}",
            content=text.encode(),
            headers={"content-type": kind},
            **more,
        )


def org_settings(database: str, server: NatsServer, seed: str = "") -> Settings:
    return Settings(
        service="org",
        database_url=database,
        nats_url=server.url,
        nats_user="org",
        nats_password=server.users["org"],
        instance_secret=SECRET,
        service_secrets={"kpi": "kpi-secret"},
        nats_issuer_seed=seed,
        nats_system_user=SYSTEM_USER,
        nats_system_password=server.users[SYSTEM_USER],
    )


async def running(settings: Settings) -> AsyncIterator[Org]:
    app = create(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://org"
        ) as client,
    ):

        async def ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await eventually(ready, timeout=20)
        yield Org(client, settings, app)


@pytest.fixture
async def org(database: str, nats_server: NatsServer) -> AsyncIterator[Org]:
    async for one in running(org_settings(database, nats_server)):
        yield one


@pytest.fixture
async def org_with_callout(
    database: str, nats_with_callout: NatsServer, callout_key: Callout
) -> AsyncIterator[tuple[Org, NatsServer]]:
    async for one in running(org_settings(database, nats_with_callout, callout_key.seed)):
        yield one, nats_with_callout


SMALL = """
units:
  - {unit: commercial, kind: group, name_zh: 商业组, name_en: Commercial, parent: promotion}
  - {unit: centre, kind: centre, name_zh: 中心, name_en: Centre}
  - {unit: promotion, kind: department, name_zh: 推广执行部, name_en: Promotion, parent: centre, order: 3}
  - {unit: data, kind: group, name_zh: 数据组, name_en: Data, parent: centre}
posts:
  - {post: editor, name_zh: 编辑, name_en: Editor, unit: commercial}
people:
  - person: 0012
    name: 王芳
    memberships:
      - {unit: commercial, post: editor, since: 2026-01-01, until: 2026-06-30}
      - {unit: data, since: 2026-07-01}
    absences: [{since: 2026-03-02, until: 2026-03-06, kind: leave}]
    roles: [{role: group_leader, unit: data}]
  - {person: "1002", name: 李强, memberships: [{unit: commercial, since: 2026-01-01}]}
accounts:
  - platform: blog
    handle: wang-1
    owner: 0012
    registered: [{since: 2026-01-01}]
    verified: [{since: 2026-02-01, until: 2026-02-28}]
publishers:
  - {publisher: forum-bot, title: Forum robot, types: [forum.post]}
"""


@pytest.fixture
def small() -> str:
    """A small organisation file."""
    return SMALL
