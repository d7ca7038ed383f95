"""Fixtures of the kernel's behaviour suite."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.kernel.broker import connect
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
