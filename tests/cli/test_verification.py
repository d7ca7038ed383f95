"""`verify` finds what differs and names the place: an altered commit, a stream that is not its ledger."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest
from nats.aio.client import Client

from services.cli.verification import Check, verify_chain, verify_stream
from services.kernel.guard import compare
from tests.eventually import eventually
from tests.kernel.conftest import admin, context
from tests.kernel.given import CONTEXT, Context

__all__ = ["admin", "context"]


def silent(done: int, of: int) -> None:
    pass


async def chain(context: Context) -> Check:
    return await verify_chain(context.db, CONTEXT, silent)


async def stream(context: Context, nc: Client) -> Check:
    return await verify_stream(nc, context.db, CONTEXT, (await chain(context)).hashes, silent)


async def raised(context: Context, times: int = 5, note: str = "") -> None:
    for n in range(times):
        await context.raise_("apples", n, note)

    async def relayed() -> bool:
        return (await compare(context.db, context.nc, CONTEXT)).verdict == "fits"

    await eventually(relayed)


@pytest.fixture
def tamper(database: str, postgres) -> Callable[[str], object]:
    """Run a statement as somebody who can switch the append-only trigger off."""

    async def run(statement: str) -> None:
        name = database.rpartition("/")[2]
        conn = await asyncpg.connect(postgres.dsn(name))
        try:
            await conn.execute("SET session_replication_role = replica")
            await conn.execute(statement)
        finally:
            await conn.close()

    return run


async def test_an_untouched_ledger_and_its_stream_are_found_right(context: Context, admin: Client) -> None:
    await raised(context)
    found = await chain(context)
    assert (found.findings, found.amount, len(found.hashes)) == ([], "5 commits", 5)
    found = await stream(context, admin)
    assert (found.findings, found.amount) == ([], "5 messages")


async def test_an_empty_ledger_is_right_too(context: Context, admin: Client) -> None:
    assert (await chain(context)).findings == []
    assert (await stream(context, admin)).findings == []


async def test_a_commit_that_goes_by_reference_is_right(context: Context, admin: Client) -> None:
    context.ledger.limit = 300
    for relay in context.relays:
        relay.ledger.limit = 300
    await raised(context, 3, note="x" * 900)
    assert (await stream(context, admin)).findings == []


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE ledger_commit SET body = body || ' ' WHERE number = 3", "org:3 was altered"),
        ("UPDATE ledger_commit SET previous = hash WHERE number = 3", "org:3 does not name the commit before it"),
        ("DELETE FROM ledger_commit WHERE number = 3", "org:3 is missing"),
        ("DELETE FROM ledger_commit WHERE number = 5", "org:5 is missing"),
    ],
)
async def test_a_tampered_ledger_is_found(context: Context, tamper, statement: str, finding: str) -> None:
    await raised(context)
    await tamper(statement)
    findings = (await chain(context)).findings
    assert findings
    assert findings[0].startswith(finding)


async def test_a_message_that_is_another_commit_is_found(context: Context, admin: Client, tamper) -> None:
    await raised(context)
    await tamper("UPDATE ledger_commit SET hash = decode(repeat('ab', 32), 'hex') WHERE number = 4")
    assert "org:4 is another commit than in the ledger" in (await stream(context, admin)).findings


async def test_a_lost_stream_is_found(context: Context, admin: Client) -> None:
    await raised(context)
    for relay in context.relays:
        await relay.stop()
    await admin.jetstream().delete_stream("ORG")
    assert (await stream(context, admin)).findings == ["does not exist"]
