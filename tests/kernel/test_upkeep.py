"""Idempotency keys are kept as long as promised, and not for ever."""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta

import pytest
from pydantic import ValidationError

import services.kernel.upkeep as upkeep
from services.cli.workshop import deciding_services
from services.kernel.archive import append_foreign
from services.kernel.clock import now
from services.kernel.commands import execute
from services.kernel.database import Database
from services.kernel.ledger import Ledger, Work
from services.kernel.settings import Settings
from services.kernel.upkeep import CommandUpkeep, prune_commands
from tests.eventually import eventually
from tests.kernel.given import CONTEXT, Context, Raised, create_schema
from tests.kernel.test_relay import restore

OLD = "UPDATE command SET at = now() - make_interval(days => $2) WHERE key = $1"


async def raise_once(context: Context, key: str) -> dict[str, int]:
    async def decide(work: Work) -> None:
        work.append("a", await work.version("a"), [Raised(counter="a", by=1)])

    return (await execute(context.committer, decide, principal="p", route="POST /x", key=key)).positions


async def test_keys_end_after_their_days_and_not_before(context: Context, monkeypatch) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 3)
    for n in range(8):
        await raise_once(context, f"old-{n}")
    await raise_once(context, "young")
    async with context.db.conn() as conn:
        await conn.execute("UPDATE command SET at = now() - interval '36 days' WHERE key LIKE 'old%'")
        await conn.execute(OLD, "young", 34)
    keeper = CommandUpkeep(context.db, 35)
    await keeper.start()

    async def left() -> bool:
        async with context.db.conn() as conn:
            return [row["key"] for row in await conn.fetch("SELECT key FROM command")] == ["young"]

    await eventually(left)
    await keeper.stop()
    assert await raise_once(context, "young") == {CONTEXT: 9}  # still answered from its commit
    assert await raise_once(context, "old-3") == {CONTEXT: 10}  # a new command by now


async def test_less_than_30_days_cannot_be_set() -> None:
    assert Settings(service="org").command_days >= 30
    with pytest.raises(ValidationError):
        Settings(service="org", command_days=29)


async def test_a_key_that_came_back_with_its_commit_is_as_old_as_that(context: Context, second_database) -> None:
    await raise_once(context, "k")
    commits = await context.commits()
    await create_schema(second_database)
    db = await Database.open(second_database, size=2)
    ledger = Ledger(db, CONTEXT)
    await ledger.open()
    await append_foreign(ledger, CONTEXT, commits, restore)
    async with db.conn() as conn:
        recorded = commits[0].metadata()["recorded_at"]
        assert await conn.fetchval("SELECT at = $1::text::timestamptz FROM command WHERE key = 'k'", recorded)
    assert await prune_commands(db, now() + timedelta(seconds=1)) == 1
    await db.close()


@pytest.mark.parametrize("service", deciding_services())
async def test_every_service_that_decides_runs_it(service: str, database, nats_server) -> None:
    create = importlib.import_module(f"services.{service}.app").create
    app = create(
        Settings(
            service=service, database_url=database, nats_url=nats_server.url, nats_user=service,
            nats_password=nats_server.users[service], org_url="http://127.0.0.1:9", activity_url="http://127.0.0.1:9",
        )
    )  # fmt: skip
    async with app.router.lifespan_context(app):
        assert "command-upkeep" in {task.get_name() for task in asyncio.all_tasks()}
