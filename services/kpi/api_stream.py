"""Figures as server-sent events: the first state at once, then again whenever they have changed.

Changes are gathered for a moment, figures are read again in one snapshot, and only other ones are sent. The token is
checked when the stream opens, and the stream ends with the token, so that the client comes back with a new one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from contracts.kpi import ScopeKind
from services.kernel import clock
from services.kernel.auth import Access, allow
from services.kernel.positions import render
from services.kpi import rendering
from services.kpi.api_reads import pair_order
from services.kpi.context import Kpi, kpi_of
from services.kpi.facts import Period, period_of
from services.kpi.policies import for_period
from services.kpi.reach import may_see

router = APIRouter(prefix="/v1", tags=["figures"])

DEBOUNCE = 0.1  # seconds that changes are gathered
BEAT = 15.0  # seconds between comments that keep proxies from closing


@router.get("/stream", summary="Figures of a scope, again whenever they change (server-sent events)")
async def stream(
    request: Request,
    scope: ScopeKind,
    scope_id: Annotated[str, Query(alias="id")],
    period: Annotated[str | None, Query(description="default: the current month")] = None,
    access: Access = allow("stream.read"),
) -> StreamingResponse:
    """Each event: `figures`, with the data, positions and as_of of GET /v1/attainments; its id are the positions."""
    kpi = kpi_of(request)
    asked = rendering.period(period) if period else period_of("month", _today(kpi))
    scope_id = pair_order(scope, scope_id)
    async with kpi.figures.snapshot() as at:
        if not may_see(access, scope, scope_id, at.roster, asked):
            raise access.refuse(f"{scope} {scope_id}")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    events = _events(kpi, access, scope, scope_id, asked)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(kpi: Kpi, access: Access, scope: ScopeKind, scope_id: str, period: Period) -> AsyncIterator[str]:
    ends = access.principal.expires_at
    last: list[dict[str, Any]] | None = None
    people: set[str] = set()
    async with kpi.changes.subscribe() as changed:
        who: set[str] | None = None  # None: anybody
        while clock.now() < ends:
            if who is None or who & people or scope == "account":
                async with kpi.figures.snapshot() as at:
                    people = set(await kpi.figures.people_of(at, scope, scope_id, period))
                    version = for_period(at.policies, period)
                    found = await kpi.figures.of_one(at, scope, scope_id, period, rows_only=True)
                    figures = [rendering.figure(one, version, at.roster) for one in found]
                    positions, as_of = render(at.positions), at.as_of.isoformat()
                if figures != last:
                    last = figures
                    yield _event(positions, {"data": figures, "positions": positions, "as_of": as_of})
            who = await changed.take(BEAT)
            if who == set():
                yield ": still here\n\n"
            else:
                await asyncio.sleep(DEBOUNCE)


def _event(event_id: str, body: dict[str, Any]) -> str:
    return f"event: figures\nid: {event_id}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


def _today(kpi: Kpi) -> date:
    return clock.now().astimezone(kpi.settings.zone).date()
