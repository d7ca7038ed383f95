"""Fixtures of the tickets service's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.tickets.desk import Desk, running


@pytest.fixture
async def desk(database, nats_server) -> AsyncIterator[Desk]:
    """The service, running, with a small organisation."""
    async with running(database, nats_server) as opened:
        yield opened
