"""Bytes to candidates: the structural check of CloudEvents and of an activity's `data`, one by one and quickly.

What the pydantic contracts define is decoded here by msgspec (a test holds the two equal). Must not know who sends,
what the catalogue says or what has been recorded: those are later checks.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from contracts.activity import NAME_LENGTH, VOIDED_TYPE, WIRE_PREFIX
from contracts.envelope import identity_key
from services.kernel.canonical import content_digest, decode_json
from services.kernel.members import UNREADABLE, split
from services.kernel.wire import (
    NOT_CLOUDEVENTS,
    Attribute,
    Rejected,
    WireEvent,
    attribute_flaw,
    field_of,
    instant_of,
    malformed,
    named,
)

VOID_TYPES = frozenset((VOIDED_TYPE, WIRE_PREFIX + "activity.voided"))
VOID_NAME = "activity.voided"

Word = Annotated[str, Meta(max_length=NAME_LENGTH)]  # a field that is a key somewhere
Quantity = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]

DATA_BYTES = 128 * 1024  # of one event's data: a void and what it takes back stand in one commit, of 512 KiB at most


class WireData(msgspec.Struct, gc=False):
    """contracts.activity.ActivityData: the catalogue's fields; others are allowed and kept."""

    account: Word | None = None
    platform: Word | None = None
    quantity: Quantity = 1
    on_topic: bool = True
    form: Literal["original", "share", "direct_message"] | None = None
    counterpart: Word | None = None
    campaign: Word | None = None
    project: Word | None = None
    partner: str | None = None
    client: str | None = None
    region: str | None = None
    url: str | None = None
    title: str | None = None
    note: str | None = None


class Target(msgspec.Struct, gc=False):
    source: Attribute
    id: Attribute


class VoidData(msgspec.Struct, gc=False):
    target: Target
    reason: Annotated[str, Meta(min_length=1)]


class Candidate(msgspec.Struct, gc=False):
    """An event of sound structure. `at` whole seconds UTC, `day` local, `fields` the catalogue's fields of `data`."""

    key: bytes
    content: bytes
    source: str
    id: str
    name: str
    subject: str
    at: datetime
    day: date
    raw: msgspec.Raw
    data: dict[str, Any]
    fields: WireData
    void: VoidData | None = None
    target_key: bytes | None = None
    follows: bool = True  # `content` follows from the whole seconds and `data`: the ledger need not carry it


_event = msgspec.json.Decoder(WireEvent).decode
_batch = msgspec.json.Decoder(list[WireEvent]).decode


def read_batch(document: bytes, zone: ZoneInfo) -> list[Candidate | Rejected]:
    """Read a JSON batch; raises UNREADABLE errors only where the array itself cannot be read."""
    try:
        events = _batch(document)
    except UNREADABLE:
        return [read_event(member, zone) for member in split(document)]
    nulls = b"\\u0000" in document
    return [read(event, zone, nulls) for event in events]


def read_event(document: bytes | msgspec.Raw, zone: ZoneInfo) -> Candidate | Rejected:
    """Read one event in JSON format; whatever is wrong with it is a rejection."""
    try:
        return read(_event(document), zone)
    except msgspec.ValidationError as error:
        return named(_invalid(error, "not_cloudevents", ""), document)
    except UNREADABLE as error:
        return malformed("not readable as JSON", error)


def read(event: WireEvent, zone: ZoneInfo, nulls: bool = True) -> Candidate | Rejected:
    """Check an event's structure; `zone` is the centre's. `nulls`: an escaped U+0000 may be in its data."""
    reason = _read(event, zone, nulls)
    if type(reason) is Rejected:
        reason.source, reason.id = event.source, event.id
    return reason


def _read(event: WireEvent, zone: ZoneInfo, nulls: bool) -> Candidate | Rejected:
    kind, subject = event.type, event.subject
    is_void = kind in VOID_TYPES
    flaw = _attribute_flaw(event, is_void)
    if flaw is not None:
        return flaw
    if len(event.data) > DATA_BYTES:
        return Rejected("event_too_large", f"data may have {DATA_BYTES} bytes", "data", "Send a link to what is large.")
    moment = instant_of(event.time, zone)
    if not isinstance(moment, tuple):
        return moment
    at, instant, day = moment
    try:
        data = decode_json(event.data)
        if type(data) is not dict and data is not None:
            return Rejected("data_not_object", "data is not an object", "data", "Send a JSON object as `data`.")
        void = msgspec.convert(data or {}, VoidData) if is_void else None
        fields = _NO_FIELDS if is_void or not data else msgspec.convert(data, WireData)
        content = content_digest(kind, subject, instant, data)
    except msgspec.ValidationError as error:
        return _invalid(error, "void_invalid" if is_void else "field_invalid", "data")
    except UNREADABLE as error:
        return malformed("data is not readable", error, "data")
    if nulls and b"\\u0000" in bytes(event.data):
        flaw = _null_character(fields)
        if flaw is not None:
            return flaw
    name = VOID_NAME if is_void else kind[_PREFIX_LENGTH:] if kind.startswith(WIRE_PREFIX) else f"?{kind}"
    target_key = identity_key(void.target.source, void.target.id) if void is not None else None
    return Candidate(
        identity_key(event.source, event.id), content, event.source, event.id,
        name, subject or "", at, day, event.data, data or {}, fields, void, target_key,
        bool(data) and len(instant) == 20,
    )  # fmt: skip


def _attribute_flaw(event: WireEvent, is_void: bool) -> Rejected | None:
    if not event.subject and not is_void:
        return Rejected("subject_missing", "the event has no subject", "subject", "Give the person's staff number.")
    return attribute_flaw(event)


_NO_FIELDS = WireData()
_PREFIX_LENGTH = len(WIRE_PREFIX)


def _null_character(fields: WireData) -> Rejected | None:
    for name in WireData.__struct_fields__:
        value = getattr(fields, name)
        if isinstance(value, str) and "\x00" in value:
            return Rejected("field_invalid", f"{name} contains U+0000", f"data.{name}", "Remove the null character.")
    return None


def _invalid(error: msgspec.ValidationError, code: str, prefix: str) -> Rejected:
    """Turn what msgspec says into code, field and remedy; some fields have a code of their own."""
    field, detail = field_of(error, prefix)
    code = _CODES.get(field.rpartition(".")[2], code)
    remedy = _REMEDIES.get(code, "Send the kind of value that the contract names.")
    return Rejected(code, detail, field or None, remedy)


_CODES = {"quantity": "quantity_invalid", "form": "form_invalid"}
_REMEDIES = {
    "quantity_invalid": "Send an integer from 1 on (at most 10^12), or leave it out for 1.",
    "form_invalid": "Send one of original, share, direct_message.",
    "void_invalid": 'Send data.target = {"source", "id"} and a data.reason that is not empty.',
    "not_cloudevents": NOT_CLOUDEVENTS,
}
