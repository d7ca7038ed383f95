"""Fixtures of the kernel's behaviour suite."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from services.kernel.broker import connect
from tests.conftest import sql
from tests.eventually import eventually
from tests.kernel.given import Context, create_schema, open_context


@pytest.fixture
async def context(database, nats_server) -> AsyncIterator[Context]:
    await create_schema(database)
    opened = await open_context(database, nats_server)
    await eventually(lambda: not opened.ledger.refusals)
    yield opened
    await opened.close()


@pytest.fixture
async def admin(nats_server):
    """The operator's connection, which may delete a stream."""
    nc = await connect(nats_server.url, "admin", nats_server.users["admin"], name="admin")
    yield nc
    await nc.close()


@pytest.fixture
def second_database(postgres) -> Iterator[str]:
    """A dependant's own database."""
    name, password = f"t_{secrets.token_hex(6)}", secrets.token_hex(12)
    sql(postgres.dsn(), f"CREATE ROLE {name} LOGIN PASSWORD '{password}'", f"CREATE DATABASE {name} OWNER {name}")
    yield postgres.dsn(name, name, password)
    sql(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")
