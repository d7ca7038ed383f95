"""How the services are, asked of their /readyz with a short patience and all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

State = Literal["ready", "not_ready", "no_answer"]
PATIENCE = 1.5


@dataclass(frozen=True)
class ServiceStatus:
    """One service's state and what it says of its own checks: (name, ok, detail)."""

    name: str
    state: State
    checks: tuple[tuple[str, bool, str], ...] = ()


async def ask_all(client: httpx.AsyncClient, urls: Mapping[str, str]) -> list[ServiceStatus]:
    """Return the state of every service; never raises, never takes much longer than PATIENCE."""
    return list(await asyncio.gather(*(_ask(client, name, url) for name, url in urls.items())))


async def _ask(client: httpx.AsyncClient, name: str, url: str) -> ServiceStatus:
    try:
        answer = await client.get(f"{url}/readyz", timeout=PATIENCE)
        body = answer.json()
    except (httpx.HTTPError, ValueError):
        return ServiceStatus(name, "no_answer")
    state: State = "ready" if answer.status_code == httpx.codes.OK else "not_ready"
    return ServiceStatus(name, state, tuple(_checks(body)))


def _checks(body: Any) -> list[tuple[str, bool, str]]:
    """Read the checks out of a /readyz answer: {"checks": {name: {"ready": bool, ...}}}."""
    found = body.get("checks", {}) if isinstance(body, dict) else {}
    return [
        (name, bool(check.get("ready")), ", ".join(f"{key} {value}" for key, value in check.items() if key != "ready"))
        for name, check in found.items()
        if isinstance(check, dict)
    ]
