"""Bytes to candidates: the structural check of CloudEvents and of an activity's `data`, one by one and quickly.

What the pydantic contracts define is decoded here by msgspec (a test holds the two equal). Must not know who sends,
what the catalogue says or what has been recorded: those are later checks.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from contracts.activity import NAME_LENGTH, VOIDED_TYPE, WIRE_PREFIX
from contracts.envelope import identity_key
from services.activity.canonical import content_digest, decode_json
from services.activity.members import UNREADABLE, split

VOID_TYPES = frozenset((VOIDED_TYPE, WIRE_PREFIX + "activity.voided"))
VOID_NAME = "activity.voided"

Attribute = Annotated[str, Meta(min_length=1, max_length=1024)]
Word = Annotated[str, Meta(max_length=NAME_LENGTH)]  # a field that is a key somewhere
Quantity = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]

DATA_BYTES = 128 * 1024  # of one event's data: a void and what it takes back stand in one commit, of 512 KiB at most

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):([0-5]\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # CloudEvents 1.0, "String": what an attribute may not contain


class WireEvent(msgspec.Struct, gc=False):
    """CloudEvents 1.0 in JSON format; `data` stays exactly as sent."""

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    type: Attribute
    subject: Word | None = None
    time: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: str | None = None


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


class Rejected(msgspec.Struct, gc=False):
    """Why an event does not stand: a stable code, the field that is wrong, and what to do."""

    code: str
    detail: str
    field: str | None = None
    remedy: str | None = None
    source: str | None = None
    id: str | None = None


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
        return _named(_invalid(error, "not_cloudevents", ""), document)
    except UNREADABLE as error:
        return Rejected("malformed_json", f"not readable as JSON: {error}", remedy="Send UTF-8 JSON (RFC 8259).")


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
        return Rejected("malformed_json", f"data is not readable: {error}", "data", "Send UTF-8 JSON (RFC 8259).")
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
    joined = f"{event.source}{event.id}{event.type}{event.subject}"
    if not joined.isprintable() and _CONTROL.search(joined):
        return Rejected(
            "not_cloudevents", "an attribute contains control characters", None, "Remove the control characters."
        )
    kind = event.datacontenttype
    if event.data_base64 is not None:
        return Rejected("data_not_json", "data_base64 is not read", "data_base64", "Send a JSON object as `data`.")
    if kind is not None and kind != "application/json" and not is_json(kind):
        return Rejected("data_not_json", f"data of type {kind}", "datacontenttype", "Send a JSON object as `data`.")
    return None


_NO_FIELDS = WireData()
_PREFIX_LENGTH = len(WIRE_PREFIX)
_TIME_REMEDY = 'Send RFC 3339 with an offset, e.g. "2026-10-17T08:30:00+08:00".'


def instant_of(text: str | None, zone: ZoneInfo) -> tuple[datetime, str, date] | Rejected:
    """Return (UTC in whole seconds: sub-seconds are cut; the exact UTC instant as text; the local day)."""
    if text is None:
        return Rejected("time_missing", "the event has no time", "time", _TIME_REMEDY)
    # What is remembered had the form and was a moment: with two digits of seconds in their place, so is this.
    known, second = _minutes.get((text[:17], text[19:], zone)), _SECONDS.get(text[17:19])
    if known is not None and second is not None:
        start, prefix, day = known
        return start + second, f"{prefix}{text[17:19]}Z", day
    found = _RFC3339.fullmatch(text)
    if found is None:
        return Rejected("time_invalid", f"{text[:64]!r} is not RFC 3339 with an offset", "time", _TIME_REMEDY)
    try:
        start, prefix, day = _minute(found[1], found[2], found[5], zone, found[3], text)
        at = start + _SECONDS[found[3]]
    except (ValueError, OverflowError):
        return Rejected("time_invalid", f"{text!r} is no moment of the calendar", "time", _TIME_REMEDY)
    fraction = found[4].rstrip("0") if found[4] else ""
    return at, f"{prefix}{found[3]}.{fraction}Z" if fraction else f"{prefix}{found[3]}Z", day


def _minute(day: str, clock: str, offset: str, zone: ZoneInfo, seconds: str, text: str) -> tuple[datetime, str, date]:
    """Return (the minute's beginning in UTC, its text, the local day), remembered where a minute has one local day.

    Before 1972 some zones changed by odd seconds: those moments are worked out one by one.
    """
    key = (text[:17], offset, zone)
    known = _minutes.get(key)  # of a time with a fraction, whose own key is not
    if known is not None:
        return known
    start = datetime.fromisoformat(f"{day}T{clock}:00{'+00:00' if offset in 'Zz' else offset}").astimezone(UTC)
    local = (start + _SECONDS[seconds]).astimezone(zone).date()
    known = (start, start.isoformat()[:17], local)
    if start.year >= 1972:
        if len(_minutes) >= _MINUTES_REMEMBERED:
            _minutes.clear()
        _minutes[key] = known
    return known


_minutes: dict[tuple[str, str, ZoneInfo], tuple[datetime, str, date]] = {}
_MINUTES_REMEMBERED = 100_000
_SECONDS = {f"{n:02}": timedelta(seconds=n) for n in range(60)}


def is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media in ("application/json", "text/json") or media.endswith("+json")


def _null_character(fields: WireData) -> Rejected | None:
    for name in WireData.__struct_fields__:
        value = getattr(fields, name)
        if isinstance(value, str) and "\x00" in value:
            return Rejected("field_invalid", f"{name} contains U+0000", f"data.{name}", "Remove the null character.")
    return None


def _invalid(error: msgspec.ValidationError, code: str, prefix: str) -> Rejected:
    """Turn msgspec's message ("Expected `int`, got `str` - at `$.quantity`") into code, field and remedy."""
    message = str(error)
    text, _, path = message.partition(" - at ")
    field = path.strip("`").removeprefix("$").lstrip(".")
    if "missing required field" in text:
        field = f"{field}.{text.split('`')[1]}".lstrip(".")
    field = ".".join(part for part in (prefix, field) if part)
    name = field.rpartition(".")[2]
    if name == "quantity":
        code = "quantity_invalid"
    elif name == "form":
        code = "form_invalid"
    return Rejected(code, text, field or None, _REMEDIES.get(code, "Send the kind of value that the contract names."))


_REMEDIES = {
    "quantity_invalid": "Send an integer from 1 on (at most 10^12), or leave it out for 1.",
    "form_invalid": "Send one of original, share, direct_message.",
    "void_invalid": 'Send data.target = {"source", "id"} and a data.reason that is not empty.',
    "not_cloudevents": 'Send CloudEvents 1.0: specversion "1.0", and id, source, type as non-empty strings.',
}


class _Names(msgspec.Struct, gc=False):
    source: Any = None
    id: Any = None


def _named(rejected: Rejected, document: bytes | msgspec.Raw) -> Rejected:
    """Add source and id where they can be read, so that a publisher finds its event again."""
    try:
        names = msgspec.json.decode(document, type=_Names)
    except UNREADABLE:
        return rejected
    rejected.source = names.source if isinstance(names.source, str) else None
    rejected.id = names.id if isinstance(names.id, str) else None
    return rejected
