"""An activity service in this process, on real Postgres and NATS, with a stand-in for org that owns the org ledger."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from services.kernel.database import Database
from tests.activity.given import Org, Running, running
from tests.conftest import sql
from tests.eventually import eventually


@pytest.fixture
def second_database(postgres):
    """A database for org beside the one of activity."""
    name, password = f"t_{secrets.token_hex(6)}", secrets.token_hex(12)
    sql(postgres.dsn(), f"CREATE ROLE {name} LOGIN PASSWORD '{password}'", f"CREATE DATABASE {name} OWNER {name}")
    yield postgres.dsn(name, name, password)
    sql(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


@pytest.fixture
async def org(second_database, nats_server) -> AsyncIterator[Org]:
    opened = await Org.open(second_database, nats_server)
    yield opened
    await opened.close()


@pytest.fixture
async def activity(database, nats_server, org) -> AsyncIterator[Running]:
    """The service, knowing E1, E2 (members of g1, led by L1, head H1), publisher `bot`, and a few accounts."""
    await org.furnish()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running(database, nats_server, org))
        await eventually(service.settled, timeout=20)
        yield service


@pytest.fixture
async def db(database) -> AsyncIterator[Database]:
    opened = await Database.open(database, size=4)
    yield opened
    await opened.close()
