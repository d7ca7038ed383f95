"""This service's own identity towards others: its secret exchanged for a bearer token, renewed before it ends."""

from __future__ import annotations

import asyncio

import httpx

from services.kernel import clock
from services.kernel.settings import Settings

EARLY = 60.0  # seconds before its end that a token is renewed


class ServiceToken:
    """`await token()` returns a bearer token of this service. OSError while org does not give one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._token = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def __call__(self) -> str:
        async with self._lock:
            if clock.monotonic() >= self._until:
                await self._renew()
            return self._token

    async def _renew(self) -> None:
        grant = {
            "grant": "service",
            "service": self._settings.service,
            "secret": self._settings.service_secret.get_secret_value(),
        }
        try:
            async with httpx.AsyncClient(timeout=10) as client:
                answer = await client.post(f"{self._settings.org_url}/v1/token", json=grant)
                answer.raise_for_status()
        except httpx.HTTPError as error:
            raise OSError(f"org gives no token: {error!r}") from error
        body = answer.json()
        self._token = str(body["access_token"])
        self._until = clock.monotonic() + max(1.0, float(body["expires_in"]) - EARLY)
