"""POST /v1/events: CloudEvents in, one outcome for each out, after the commit. Nothing here looks at an event."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from contracts.activity import IntakeAnswer
from contracts.envelope import identity_key
from services.activity.facts import AWAITED, STATES
from services.activity.request import read_request
from services.activity.scope import people_in_reach, sender_grant
from services.activity.service import Service
from services.kernel.auth import Access, Allow, Principal, allow, authenticate
from services.kernel.errors import Refusal
from services.kernel.outcomes import answer_bytes
from services.kernel.telemetry import traceparent
from services.kernel.web import read_body
from services.kernel.wire import MAX_BYTES


class AllowSenders(Allow):
    """Publishers send their own; people record what their role lets them."""

    async def __call__(self, principal: Annotated[Principal, Depends(authenticate)]) -> Access:
        if principal.kind == "publisher":
            return await Allow("activity.publish")(principal)
        return await Allow("activity.record")(principal)


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


router = APIRouter(tags=["intake"])

DOCUMENT = {"schema": {"type": "object", "description": "A CloudEvents 1.0 event of the activity catalogue"}}
BODIES = {
    "application/cloudevents+json": DOCUMENT,
    "application/cloudevents-batch+json": {"schema": {"type": "array", "items": DOCUMENT["schema"], "maxItems": 1000}},
    "application/json": {"schema": {}},
}


@router.post(
    "/v1/events",
    summary="Record activity events: structured, binary or batch, up to 1,000 events or 2 MB, gzip too",
    response_model=IntakeAnswer,
    openapi_extra={"requestBody": {"content": BODIES, "required": True}},
)
async def post_events(
    request: Request, access: Annotated[Access, Depends(AllowSenders("activity.publish"))]
) -> Response:
    service = service_of(request)
    body = await read_body(request, MAX_BYTES)
    grant = await sender_grant(service.db, access, service.today())
    asked = read_request(body, request.headers, grant, service.settings.zone, traceparent=traceparent.get())
    answer = await service.intake.submit(asked)
    headers = {"Opsledger-Position": answer.position}
    return Response(answer_bytes(answer), media_type="application/json", headers=headers)


FATE = """
SELECT a.state, a.type, a.subject, a.day, a.at, a.publisher,
       r.ledger || ':' || r.number AS recorded, h.ledger || ':' || h.number AS held,
       v.ledger || ':' || v.number AS voided
FROM activity a
LEFT JOIN ledger_commit r ON r.ref = a.recorded_ref
LEFT JOIN ledger_commit h ON h.ref = a.held_ref
LEFT JOIN ledger_commit v ON v.ref = a.voided_ref
WHERE a.key = $1
"""


@router.get("/v1/events/status", summary="What became of an event")
async def status(
    request: Request,
    source: Annotated[str, Query(min_length=1)],
    event_id: Annotated[str, Query(alias="id", min_length=1)],
    access: Access = allow("activity.status"),
) -> dict[str, Any]:
    service = service_of(request)
    key = identity_key(source, event_id)
    publisher = access.principal.sub if access.principal.kind == "publisher" else None
    if publisher is not None and source not in (access.principal.sources or (publisher,)):
        raise access.refuse(f"events of {source}")
    async with service.db.conn() as conn:
        row = await conn.fetchrow(FATE, key)
        reasons = await conn.fetch("SELECT code, name FROM activity_hold_reason WHERE key = $1", key)
        flaw = await conn.fetchrow(
            "SELECT number, code, field, detail, remedy, state FROM quarantine WHERE key = $1"
            " AND ($2::text IS NULL OR publisher = $2) ORDER BY number DESC LIMIT 1",
            key, publisher,
        )  # fmt: skip
    answer: dict[str, Any] = {"source": source, "id": event_id}
    reach = None if publisher is not None else await people_in_reach(service.db, access, service.today())
    if reach is not None and (row is None or row["subject"] not in reach):
        raise Refusal("unknown_event", "no event of yours has come under this source and id", status=404, field="id")
    if row is not None and row["state"] != AWAITED:
        answer |= {"state": STATES[row["state"]], "reasons": [dict(reason) for reason in reasons]}
        answer |= {name: row[name] for name in ("type", "subject", "day", "recorded", "held", "voided")}
        answer["time"] = row["at"]
        return answer
    if flaw is not None:
        return answer | {"state": "rejected", "quarantine": dict(flaw)}
    if row is not None:
        return answer | {"state": "awaited", "detail": "a void waits for this event"}
    raise Refusal("unknown_event", "no event has come under this source and id", status=404, field="id")
