"""Rejected events: listed, read, mended and sent again, or discarded."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from contracts.activity import IntakeAnswer
from services.activity import quarantine
from services.activity.api import respond
from services.activity.api_events import service_of
from services.activity.known import grant_of
from services.activity.request import Request as IntakeRequest
from services.activity.service import Service
from services.activity.structure import read_event
from services.kernel.auth import Access, allow
from services.kernel.clock import now
from services.kernel.errors import Refusal
from services.kernel.outcomes import answer_bytes
from services.kernel.telemetry import traceparent
from services.kernel.web import envelope

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

PAGE = 500
SHOWN = ("number", "source", "id", "publisher", "code", "field", "detail", "remedy", "cut", "message", "received_at",
         "state", "settled_by", "settled_at")  # fmt: skip


class Mend(BaseModel):
    """What to send instead: the whole event, or an RFC 7396 merge patch on the original."""

    model_config = ConfigDict(extra="forbid")

    event: dict[str, Any] | None = None
    patch: dict[str, Any] | None = None


def _own(access: Access) -> str | None:
    return access.principal.sub if access.principal.kind == "publisher" else None


@router.get("", summary="Rejected events, newest first")
async def listing(
    request: Request,
    access: Access = allow("quarantine.read"),
    publisher: str | None = None,
    code: str | None = None,
    state: str | None = "open",
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
    before: Annotated[int | None, Query(description="`next` of the page before")] = None,
) -> Response:
    service = service_of(request)
    async with service.db.conn() as conn:
        rows = await conn.fetch(
            f"SELECT {', '.join(SHOWN)} FROM quarantine WHERE ($1::text IS NULL OR publisher = $1)"
            " AND ($2::text IS NULL OR code = $2) AND ($3::text IS NULL OR state = $3)"
            " AND ($4::bigint IS NULL OR number < $4) ORDER BY number DESC LIMIT $5",
            _own(access) or publisher, code, state if state != "all" else None, before, limit + 1,
        )  # fmt: skip
    more = rows[limit - 1]["number"] if len(rows) > limit else None
    return respond(envelope([dict(row) for row in rows[:limit]], await service.ledger.heads(), now(), next=more))


@router.get("/{number}", summary="One rejected event with what was sent; masked for operators")
async def one(request: Request, number: int, access: Access = allow("quarantine.read")) -> Response:
    service = service_of(request)
    async with service.db.conn() as conn:
        row = await quarantine.find(conn, number, _own(access))
    original = bytes(row["original"])
    operator_only = access.principal.has_role("operator") and not any(
        access.principal.has_role(role) for role in ("director", "assistant", "auditor")
    )
    shown = quarantine.masked(original) if operator_only else original.decode("utf-8", "replace")
    data = {**{name: row[name] for name in SHOWN}, "original": shown, "masked": operator_only}
    return respond(envelope(data, await service.ledger.heads(), now()))


@router.post("/{number}/mend", summary="Send a mended event in its place", response_model=IntakeAnswer)
async def mend(request: Request, number: int, change: Mend, access: Access = allow("quarantine.mend")) -> Response:
    service = service_of(request)
    if (change.event is None) == (change.patch is None):
        raise Refusal(
            "bad_mend", "give either `event` or `patch`", status=422, remedy="Send the one or the other, not both."
        )
    original, publisher = await _open(service, number, whole=change.event is None)
    document = msgspec.json.encode(change.event) if change.patch is None else quarantine.mended(original, change.patch)
    return await _send(service, number, document, publisher, access)


@router.post("/{number}/resubmit", summary="Send it again as it is", response_model=IntakeAnswer)
async def resubmit(request: Request, number: int, access: Access = allow("quarantine.mend")) -> Response:
    service = service_of(request)
    original, publisher = await _open(service, number, whole=True)
    return await _send(service, number, original, publisher, access)


@router.post("/{number}/discard", summary="Settle it without recording anything", status_code=204)
async def discard(request: Request, number: int, access: Access = allow("quarantine.mend")) -> Response:
    service = service_of(request)
    async with service.db.tx() as conn:
        await quarantine.find(conn, number)
        await quarantine.settle(conn, number, "discarded", access.principal.id, now())
    return Response(status_code=204)


async def _open(service: Service, number: int, *, whole: bool) -> tuple[bytes, str]:
    """Return an open row's original and publisher; `whole`: nothing of the original may have been cut off."""
    async with service.db.conn() as conn:
        row = await quarantine.find(conn, number)
    if row["state"] != "open":
        raise quarantine.already_settled(number)
    if row["cut"] and whole:
        raise Refusal(
            "original_cut", "only the beginning of it was kept", status=409, remedy="Mend it with the whole `event`."
        )
    return bytes(row["original"]), str(row["publisher"])


async def _send(service: Service, number: int, document: bytes, publisher: str, access: Access) -> Response:
    """Submit under the publisher's own permissions; the row is settled when it is not rejected again."""
    sender = await service.publishers.find(publisher)
    if sender is None:
        raise Refusal(
            "unknown_publisher",
            f"{publisher} may not publish any more",
            status=409,
            remedy="Discard it, or register the publisher again.",
        )
    event = read_event(document, service.settings.zone)
    asked = IntakeRequest(grant_of(sender), [event], document, False, traceparent=traceparent.get())
    asked.keep_rejected = False  # it is in quarantine already
    answer = await service.intake.submit(asked)
    if answer.results[0].outcome != "rejected":
        async with service.db.tx() as conn:
            await quarantine.settle(conn, number, "mended", access.principal.id, now())
    return Response(answer_bytes(answer), media_type="application/json")
