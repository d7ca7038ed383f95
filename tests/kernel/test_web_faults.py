"""What the HTTP edge answers when something behind it is away."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx
import nats.errors
import nats.js.errors
import pytest

from services.kernel.errors import Refusal
from services.kernel.positions import parse
from services.kernel.settings import Settings
from services.kernel.web import create_app


@pytest.mark.parametrize(
    "error",
    [nats.errors.NoRespondersError(), nats.errors.ConnectionClosedError(), nats.js.errors.ServiceUnavailableError()],
)
async def test_a_broker_that_is_away_is_a_503(error: Exception) -> None:
    @asynccontextmanager
    async def lifespan(_):
        yield

    app = create_app("test", Settings(service="test"), lifespan)

    @app.get("/ask")
    async def ask() -> None:
        raise error

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/ask")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_a_position_beyond_any_ledger_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        parse("org:" + "9" * 5000)
    assert refused.value.code == "bad_position"
