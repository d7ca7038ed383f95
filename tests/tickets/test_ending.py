"""The service ends when it is told to, at whatever moment of its start: libraries swallow cancellations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.tickets.app import create
from tests.tickets.desk import settings_for


@pytest.mark.parametrize("milliseconds", range(0, 120, 15))
async def test_it_ends_soon_after_any_moment_of_its_start(milliseconds: int, database: str, nats_server: Any) -> None:
    app = create(settings_for(database, nats_server))

    async def live_shortly() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.sleep(milliseconds / 1000)

    async with asyncio.timeout(20):
        await live_shortly()
