"""Routes for service levels: load a version whole, read what was loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from contracts.service_levels import ServiceLevels
from services.kernel.auth import Access, allow
from services.kernel.codec import Envelope
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kernel.web import IdempotencyKey, IfMatch, expected_version
from services.tickets.commanding import answer, asked, change, instant, tickets_of
from services.tickets.levels import AGGREGATE, decide_put_in_force
from services.tickets.store import as_json

router = APIRouter(prefix="/v1/service-levels", tags=["service levels"])
READ = allow("service_levels.read")


@router.post("", summary="Load a version of the service levels; tickets opened from its `effective` on are under it")
async def put_in_force(
    request: Request, response: Response, body: ServiceLevels,
    access: Access = allow("service_levels.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def decide(events: Sequence[Envelope], work: Work) -> Sequence[BaseModel]:
        return decide_put_in_force(events, body, by.by, instant(work))

    return answer(response, await change(tickets_of(request), by, AGGREGATE, decide))


@router.get("", summary="Every version loaded, the latest first; which one is in force now")
async def versions(request: Request, access: Access = READ) -> dict[str, Any]:
    async with tickets_of(request).db.conn() as conn:
        rows = await conn.fetch(
            "SELECT version, effective, document->>'title' AS title, effective <= now() AND NOT EXISTS ("
            " SELECT FROM public.service_levels l WHERE l.effective <= now()"
            " AND (l.effective, l.version) > (s.effective, s.version)) AS in_force"
            " FROM public.service_levels s ORDER BY version DESC"
        )
    return {"data": [dict(row) for row in rows]}


@router.get("/{version}", summary="One version whole")
async def version(request: Request, version: int, access: Access = READ) -> dict[str, Any]:
    async with tickets_of(request).db.conn() as conn:
        document = await conn.fetchval("SELECT document FROM public.service_levels WHERE version = $1", version)
    if document is None:
        raise Refusal(
            "version_unknown", f"there are no service levels {version}", status=404, field="version",
            remedy="GET /v1/service-levels lists them.",
        )  # fmt: skip
    return {"data": as_json(document)}
