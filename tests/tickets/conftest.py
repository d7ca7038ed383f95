"""Fixtures of the tickets service's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from contracts.org import PublisherRegistered
from services.kernel.broker import connect
from tests.eventually import eventually
from tests.tickets.desk import Desk, running


@pytest.fixture
async def desk(database, nats_server) -> AsyncIterator[Desk]:
    """The service, running, with a small organisation."""
    async with running(database, nats_server) as opened:
        yield opened


@pytest.fixture
async def shop(desk: Desk) -> Desk:
    """The desk, with a publisher of tickets and one of activities."""
    at = await desk.say(
        PublisherRegistered(publisher="shop", types=["*"], sources=["shop", "urn:shop:2"], contexts=["tickets"]),
        PublisherRegistered(publisher="opener", types=["ticket.opened"], sources=["opener"], contexts=["tickets"]),
        PublisherRegistered(publisher="poster", types=["*"], sources=["poster"]),
    )
    number = int(at.rpartition(":")[2])
    projector = desk.app.state.projectors["organisation"]
    await eventually(lambda: projector.applied.get("org", 0) >= number)
    return desk


@pytest.fixture
async def nats(nats_server: Any) -> AsyncIterator[Client]:
    nc = await connect(nats_server.url, "admin", nats_server.users["admin"], name="shop")
    yield nc
    await nc.close()
