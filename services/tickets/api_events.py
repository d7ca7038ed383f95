"""POST /v1/events: publishers' CloudEvents in, one outcome for each out, after the commit."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from contracts.activity import IntakeAnswer
from contracts.envelope import identity_key
from services.kernel.auth import Access, allow
from services.kernel.errors import Refusal
from services.kernel.messages import Sent
from services.kernel.outcomes import answer_bytes
from services.kernel.telemetry import traceparent
from services.kernel.web import read_body
from services.kernel.wire import MAX_BYTES
from services.tickets import intake_rows as rows
from services.tickets.intake import TicketIntake

router = APIRouter(tags=["intake"])
SEND = allow("tickets.publish")

DOCUMENT = {"type": "object", "description": "CloudEvents 1.0: opsledger.ticket.opened or opsledger.ticket.message"}
BODIES = {
    "application/cloudevents+json": {"schema": DOCUMENT},
    "application/cloudevents-batch+json": {"schema": {"type": "array", "items": DOCUMENT, "maxItems": 1000}},
    "application/json": {"schema": {}},
}


def intake_of(request: Request) -> TicketIntake:
    """Return the running service's intake."""
    found: TicketIntake = request.app.state.intake
    return found


@router.post(
    "/v1/events",
    summary="Open tickets and add messages: structured, binary or batch, up to 1,000 events or 2 MB, gzip too",
    response_model=IntakeAnswer,
    openapi_extra={"requestBody": {"content": BODIES, "required": True}},
)
async def post_events(request: Request, access: Access = SEND) -> Response:
    body = await read_body(request, MAX_BYTES)
    sent = Sent(access.principal.sub, body, request.headers, traceparent=traceparent.get())
    answer = await intake_of(request).submit(sent)
    headers = {"Opsledger-Position": answer.position}
    return Response(answer_bytes(answer), media_type="application/json", headers=headers)


@router.get("/v1/events/status", summary="What became of an event")
async def status(
    request: Request,
    source: Annotated[str, Query(min_length=1)],
    event_id: Annotated[str, Query(alias="id", min_length=1)],
    access: Access = SEND,
) -> dict[str, Any]:
    intake = intake_of(request)
    sender = await intake.publishers.admit(access.principal.sub)
    if source not in sender.sources:
        raise access.refuse(f"events of {source}")
    async with intake.tickets.db.conn() as conn:
        known = await rows.find(conn, identity_key(source, event_id))
        if known is None:
            raise Refusal("unknown_event", "no event has come under this source and id", status=404, field="id")
        _, commit = await rows.commit_of(conn, known.ticket, known.version)
    return {"source": source, "id": event_id, "state": "recorded", "subject": known.ticket, "recorded": commit}
