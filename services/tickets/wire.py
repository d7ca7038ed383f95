"""Documents to candidates: what a publisher sent, checked for structure, each event by itself.

Pure. Must not know who sends nor what is on record. A rejection names the field and never repeats what stands in it:
results and receipts outlive the customer's key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from pydantic import ValidationError

from contracts.envelope import identity_key
from contracts.ticket_intake import MessageData, OpenedData
from contracts.tickets import MESSAGE_TYPE, OPENED_TYPE
from services.kernel.canonical import content_digest, decode_json
from services.kernel.members import UNREADABLE, split
from services.kernel.wire import (
    MAX_EVENTS,
    NOT_CLOUDEVENTS,
    Rejected,
    WireEvent,
    attribute_flaw,
    document_of,
    field_of,
    instant_of,
    malformed,
    named,
    too_many,
    unreadable,
)

MODELS: Mapping[str, type[OpenedData | MessageData]] = {OPENED_TYPE: OpenedData, MESSAGE_TYPE: MessageData}
PREFIX = "opsledger."
DATA_BYTES = 384 * 1024  # of one event's data: its seal and the rest must fit into one commit

_event = msgspec.json.Decoder(WireEvent).decode


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event of sound structure. `name` = its type without prefix; `at` = whole seconds UTC."""

    key: bytes
    content: bytes  # digest of what was sent; kept under the instance's key only
    source: str
    id: str
    name: str
    at: datetime
    data: OpenedData | MessageData


def read_document(body: bytes, headers: Mapping[str, str], zone: ZoneInfo) -> list[Candidate | Rejected]:
    """Read a document, header names in lower case. Refusal where nothing of it can be read."""
    document, batch = document_of(body, headers)
    if not batch:
        event = read_event(document, zone)
        if isinstance(event, Rejected) and event.code == "malformed_json" and event.field is None:
            raise unreadable(event.detail)
        return [event]
    try:
        members = split(document)
    except UNREADABLE as error:
        raise unreadable(error) from error
    if len(members) > MAX_EVENTS:
        raise too_many(f"a request may have {MAX_EVENTS} events")
    return [read_event(member, zone) for member in members]


def read_event(document: bytes, zone: ZoneInfo) -> Candidate | Rejected:
    """Read one event in JSON format; whatever is wrong with it is a rejection."""
    try:
        event = _event(document)
    except msgspec.ValidationError as error:
        field, detail = field_of(error, "")
        return named(Rejected("not_cloudevents", detail, field or None, NOT_CLOUDEVENTS), document)
    except UNREADABLE as error:
        return malformed("not readable as JSON", error)
    read = _read(event, zone)
    if isinstance(read, Rejected):
        read.source, read.id = event.source, event.id
    return read


def _read(event: WireEvent, zone: ZoneInfo) -> Candidate | Rejected:
    flaw = attribute_flaw(event)
    if flaw is not None:
        return flaw
    model = MODELS.get(event.type)
    if model is None:
        return Rejected("unknown_type", "not a type that tickets take", "type", f"Send one of {', '.join(MODELS)}.")
    if len(event.data) > DATA_BYTES:
        return Rejected("event_too_large", f"data may have {DATA_BYTES} bytes", "data", "Send files as links.")
    moment = instant_of(event.time, zone)
    if isinstance(moment, Rejected):
        return moment
    at, instant, _ = moment
    try:
        plain = decode_json(event.data)
        content = content_digest(event.type, event.subject, instant, plain)
    except UNREADABLE:
        return Rejected("malformed_json", "data is not readable", "data", "Send UTF-8 JSON (RFC 8259).")
    if not isinstance(plain, dict):
        return Rejected("data_not_object", "data is not an object", "data", "Send a JSON object as `data`.")
    if b"\\u0000" in bytes(event.data) and _has_null(plain):
        return Rejected("field_invalid", "data contains U+0000", "data", "Remove the null character.")
    try:
        data = model.model_validate(plain, strict=True)
    except ValidationError as error:
        return _invalid(error)
    key = identity_key(event.source, event.id)
    return Candidate(key, content, event.source, event.id, event.type.removeprefix(PREFIX), at, data)


def _has_null(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_null(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_null(inner) for inner in value)
    return isinstance(value, str) and "\0" in value


def _invalid(error: ValidationError) -> Rejected:
    """The first fault, by field; pydantic's words name what is expected, not what came."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(["data", *(str(part) for part in first["loc"])])
    return Rejected("field_invalid", str(first["msg"])[:300], field[:200], "Send what the event's JSON Schema names.")
