"""Reading while everything moves: rebuilds never fail a read, evidence always sums to its figure; and a lost tail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
import pytest

from tests.conftest import sql
from tests.eventually import eventually
from tests.faults.load import Load, under_load
from tests.faults.stage import Stage
from tests.oracle.generator import OrgChange

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

# Quotas whose figure is the sum of its activities' quantities, by scope.
SUMS = {"person": ("H-26b", "H-26c", "H-30a", "H-35a", "H-35b", "H-22"), "unit": ("H-27", "H-28", "H-35a", "H-22")}


@dataclass
class Reader:
    """Asks one thing again and again until told to stop; what is not a good answer is a failure."""

    ask: Callable[[], Any]
    answers: int = 0
    failures: list[str] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.ask()
            except (httpx.HTTPError, AssertionError) as error:
                self.failures.append(repr(error))
            self.answers += 1
            await asyncio.sleep(0.01)


async def test_rebuilds_under_load_fail_no_read_and_are_equal(stage: Stage) -> None:
    stop = asyncio.Event()
    async with stage.director() as kpi:

        async def table() -> None:
            answer = await kpi.get("/v1/table", params={"period": "2026-03", "unit": "promotion"})
            answer.raise_for_status()
            assert answer.json()["data"]["rows"]

        async def person() -> None:
            answer = await kpi.get("/v1/attainments", params={"period": "2026-03", "scope": "person", "id": "P001"})
            answer.raise_for_status()
            assert answer.json()["data"]

        readers = [Reader(table), Reader(person)]
        async with under_load(Load(stage, stage.next_steps(0.3), batch=8, pause=0.05)), asyncio.TaskGroup() as group:
            for reader in readers:
                group.create_task(reader.run(stop))
            for name in ("facts", "org_facts", "facts", "identities"):
                done = await asyncio.to_thread(stage.system.opsledger, "rebuild", name, check=False)
                if done.returncode:
                    readers[0].failures.append(done.stdout + done.stderr)
            stop.set()
    assert not [failure for reader in readers for failure in reader.failures]
    assert min(reader.answers for reader in readers) > 20
    await stage.assert_exact()


async def explained(kpi: httpx.AsyncClient, quota: str, scope: str, scope_id: str) -> bool:
    """Ask for a figure's evidence: it sums to what the figure says. False: there is nothing to sum."""
    params = {"quota": quota, "scope": scope, "id": scope_id, "period": "2026-03", "limit": "300"}
    answer = await kpi.get("/v1/explain", params=params)
    assert answer.status_code == 200, answer.text
    at, data = answer.json()["positions"], answer.json()["data"]
    what = f"{quota} {scope} {scope_id} at {at}"
    assert data["total_quantity"] == data["quantity"], what
    figures = data["figures"]
    assert [figure["done"] for figure in figures] == [str(data["total_quantity"])] * len(figures), what
    if data.get("next") is None:
        assert sum(row["quantity"] for row in data["rows"]) == data["total_quantity"], what
        assert len(data["rows"]) == data["total_events"], what
    else:  # the rest is on further pages
        assert len(data["rows"]) == int(params["limit"]) < data["total_events"], what
    return bool(data["total_quantity"])


async def test_evidence_sums_to_its_figure_under_load_with_voids(stage: Stage) -> None:
    random = Random(5)
    people = [person["person"] for person in stage.scenario.initial["people"]]
    units = ["promotion", "commercial", "public-interest", "centre"]
    seen = 0
    stop = asyncio.Event()
    async with stage.director() as kpi:

        async def one() -> None:
            nonlocal seen
            scope = random.choice(["person", "unit"])
            scope_id = random.choice(people if scope == "person" else units)
            seen += await explained(kpi, random.choice(SUMS[scope]), scope, scope_id)

        reader = Reader(one)
        load = Load(stage, stage.next_steps(0.3), batch=8, pause=0.02)
        async with under_load(load), asyncio.TaskGroup() as group:
            group.create_task(reader.run(stop))
            await eventually(lambda: seen > 150, timeout=60)
            stop.set()
    assert not reader.failures
    await stage.assert_exact()


@pytest.mark.parametrize("services", [("activity",), ("org", "activity", "kpi")], ids=" ".join)
async def test_the_databases_tail_lost_under_an_intact_stream(stage: Stage, services: tuple[str, ...]) -> None:
    """Databases are put back to older copies, while the streams, and the other databases, stand where they were."""
    server = stage.system.superuser_dsn
    names = [f"opsledger_{service}" for service in services]
    await stage.assert_exact()
    for name in names:
        copy = f"CREATE DATABASE {name}_older TEMPLATE {name} OWNER {name} STRATEGY file_copy"
        sql(server, *apart(name), copy, *together(name))
    steps = stage.next_steps(0.08)
    await Load(stage, steps, batch=20).once()
    await stage.assert_exact()
    for name in names:
        sql(server, *apart(name), f"DROP DATABASE {name}", f"ALTER DATABASE {name}_older RENAME TO {name}")
    for name in names:
        sql(server, *together(name))
    pid = stage.system.kill("postgres")
    await asyncio.to_thread(stage.system.wait_restarted, "postgres", pid)

    refused = await eventually(lambda: refusal_of(stage), timeout=60)
    assert refused["code"] == "database_lost_tail"
    assert "heal" in refused["remedy"]
    healed = await asyncio.to_thread(stage.system.opsledger, "ledger", "heal")
    assert healed.stdout.count("commits read back") >= len(services) - 1, healed.stdout  # no alert may have changed

    again = Load(stage, [step for step in steps if not isinstance(step, OrgChange)], batch=20)
    await again.once()  # what was recorded before the loss is known again: nothing counts twice
    assert again.outcomes["recorded"] == 0
    await stage.assert_exact()
    stage.assert_verified()


def apart(name: str) -> tuple[str, ...]:
    """Keep everybody out of a database."""
    return (
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'",
    )


def together(name: str) -> tuple[str, ...]:
    """Let its owner in again, and nobody else."""
    return (f"REVOKE ALL ON DATABASE {name} FROM PUBLIC", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def refusal_of(stage: Stage) -> dict[str, Any] | None:
    """What a publisher is told when nothing may be written; None while it is told something else."""
    event = {
        "specversion": "1.0",
        "id": "refused-1",
        "source": "poster",
        "type": "opsledger.activity.site.work",
        "subject": "P001",
        "time": "2020-01-01T00:00:00Z",
        "data": {},
    }
    async with httpx.AsyncClient(timeout=10) as client:
        grant = {"grant": "publisher_token", "publisher": "poster", "token": stage.tokens["poster"]}
        token = (await client.post(f"{stage.system.url('org')}/v1/token", json=grant)).json()["access_token"]
        headers = {"authorization": f"Bearer {token}", "content-type": "application/cloudevents+json"}
        answer = await client.post(f"{stage.system.url('activity')}/v1/events", json=event, headers=headers)
    body: dict[str, Any] = answer.json()
    return body if answer.status_code == 503 and body["code"] == "database_lost_tail" else None
