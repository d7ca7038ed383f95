"""Voids and corrections by entitled people, in the system's own name, with a reason."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.activity import SYSTEM_SOURCE, VOIDED_TYPE, ActivityRef, IntakeAnswer
from contracts.envelope import identity_key
from services.activity.api_events import service_of
from services.activity.facts import AWAITED, VOID, Ref
from services.activity.request import Request as IntakeRequest
from services.activity.rules import Grant
from services.activity.scope import people_in_reach
from services.activity.service import Service
from services.activity.structure import read_event
from services.kernel.auth import Access, Allow, Principal, allow, authenticate
from services.kernel.clock import new_id, now
from services.kernel.errors import Refusal
from services.kernel.outcomes import answer_bytes
from services.kernel.telemetry import traceparent
from services.kernel.web import IdempotencyKey

router = APIRouter(tags=["changes"])


class VoidActivity(BaseModel):
    """Take an activity's counts back, for good."""

    model_config = ConfigDict(extra="forbid")

    target: ActivityRef
    reason: str = Field(min_length=1, max_length=2000)


class CorrectActivity(VoidActivity):
    """Void an activity and record the right one under a new id, in one commit. `event` is a CloudEvents event; its
    source is the system's, its id a new one where none is given."""

    event: dict[str, Any]


class AllowCorrectors(Allow):
    """Entitled people correct what counts; operators end holds."""

    async def __call__(self, principal: Annotated[Principal, Depends(authenticate)]) -> Access:
        if principal.may("activity.correct"):
            return await Allow("activity.correct")(principal)
        return await Allow("holds.correct")(principal)


@router.post("/v1/activities/void", summary="Void an activity", response_model=IntakeAnswer)
async def void(
    request: Request,
    command: VoidActivity,
    access: Access = allow("activity.void"),
    key: IdempotencyKey = None,
) -> Response:
    service = service_of(request)
    await _check(service, access, command.target)
    grant = Grant(access.principal.id, frozenset((SYSTEM_SOURCE,)), void_any=True)
    asked = _request(service, grant, [_void(command, _command_id(access, key, "void"))])
    answer = await service.intake.command(asked, "/v1/activities/void", key, command.model_dump_json().encode())
    return Response(answer_bytes(answer), media_type="application/json")


@router.post(
    "/v1/activities/correct",
    summary="Void an activity and record the right one, in one commit",
    response_model=IntakeAnswer,
)
async def correct(
    request: Request,
    command: CorrectActivity,
    access: Annotated[Access, Depends(AllowCorrectors("activity.correct"))],
    key: IdempotencyKey = None,
) -> Response:
    service = service_of(request)
    subject = await _check(service, access, command.target, only_held=access.action == "holds.correct")
    command_id = _command_id(access, key, "correct")
    event = {"specversion": "1.0", "id": command_id + ".new", "subject": subject, **command.event}
    event["source"] = SYSTEM_SOURCE
    people = await people_in_reach(service.db, access, service.today())
    grant = Grant(access.principal.id, frozenset((SYSTEM_SOURCE,)), None, people, void_any=True)
    events = [_void(command, command_id), msgspec.json.encode(event)]
    asked = _request(service, grant, events)
    asked.corrects = Ref(command.target.source, command.target.id)
    answer = await service.intake.command(asked, "/v1/activities/correct", key, command.model_dump_json().encode())
    return Response(answer_bytes(answer), media_type="application/json")


async def _check(service: Service, access: Access, target: ActivityRef, *, only_held: bool = False) -> str:
    """Return the target's subject. Refusal 404, 403, or 409 where there is nothing to take back."""
    async with service.db.conn() as conn:
        row = await conn.fetchrow(
            "SELECT state, subject, recorded_ref FROM activity WHERE key = $1", identity_key(target.source, target.id)
        )
    if row is None or row["state"] == AWAITED:
        raise Refusal("unknown_event", "no event has come under this source and id", status=404, field="target")
    if row["state"] == VOID:
        raise Refusal("target_is_void", "a void cannot be voided", status=409, field="target")
    reach = await people_in_reach(service.db, access, service.today())
    if reach is not None and row["subject"] not in reach:
        raise access.refuse(f"activities of {row['subject']}")
    if only_held and row["recorded_ref"] is not None:
        raise access.refuse("events that are not held")
    return str(row["subject"])


def _command_id(access: Access, key: str | None, kind: Literal["void", "correct"]) -> str:
    """Return the id of the void: the same for a repetition under the same idempotency key."""
    return new_id() if key is None else identity_key(f"{access.principal.id} {kind}", key).hex()


def _void(command: VoidActivity, event_id: str) -> bytes:
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": SYSTEM_SOURCE,
            "type": VOIDED_TYPE,
            "time": now(),
            "data": {"target": command.target.model_dump(), "reason": command.reason},
        }
    )


def _request(service: Service, grant: Grant, events: list[bytes]) -> IntakeRequest:
    document = b"[" + b",".join(events) + b"]"
    read = [read_event(event, service.settings.zone) for event in events]
    return IntakeRequest(grant, read, document, True, traceparent=traceparent.get())
