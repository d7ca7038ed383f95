"""CloudEvents as they come in from outside: the document, its content mode, an event's envelope and its time.

Decoded by msgspec, quickly; an event's `data` stays as sent. Must not know what a context's events carry.
Sources: CloudEvents 1.0.2 and its HTTP and NATS bindings (structured, binary, batched content modes), RFC 3339.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from services.kernel.errors import Refusal
from services.kernel.members import UNREADABLE

MAX_EVENTS = 1000
MAX_BYTES = 2 * 1024 * 1024
NAME_LENGTH = 200  # characters of a subject

Attribute = Annotated[str, Meta(min_length=1, max_length=1024)]
Word = Annotated[str, Meta(max_length=NAME_LENGTH)]  # a field that is a key somewhere

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


class Rejected(msgspec.Struct, gc=False):
    """Why an event does not stand: a stable code, the field that is wrong, and what to do."""

    code: str
    detail: str
    field: str | None = None
    remedy: str | None = None
    source: str | None = None
    id: str | None = None


def document_of(body: bytes, headers: Mapping[str, str]) -> tuple[bytes, bool]:
    """Return (JSON document, whether it is a batch); header names in lower case. Refusal where it cannot be read."""
    if len(body) > MAX_BYTES:
        raise too_many(f"a request may have {MAX_BYTES} bytes")
    document, batch = body, False
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media.startswith("application/cloudevents-batch"):
        batch = True
    elif media.startswith("application/cloudevents"):
        batch = False
    elif "ce-specversion" in headers or "ce-type" in headers:
        document = _from_binary(body, headers)
    else:
        batch = body.lstrip()[:1] == b"["
    return document, batch


def unreadable(error: object) -> Refusal:
    return Refusal(
        "malformed_json",
        f"the document cannot be read: {error}"[:300],
        status=400,
        remedy="Send a CloudEvents event, or a JSON array of them, in UTF-8.",
    )


def too_many(detail: str) -> Refusal:
    return Refusal("request_too_large", detail, status=413, remedy="Send it in several requests.")


def _from_binary(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the event of binary mode as a structured document; the body stays as sent where it is JSON."""
    event: dict[str, object] = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    if headers.get("content-type"):
        event["datacontenttype"] = headers["content-type"]
    if body:
        try:
            msgspec.json.decode(body)
        except UNREADABLE:
            event["datacontenttype"] = event.get("datacontenttype") or "application/octet-stream"
            event["data_base64"] = base64.b64encode(body).decode()
            if is_json(str(event["datacontenttype"])):
                raise unreadable("the body is not JSON") from None
        else:
            event["data"] = msgspec.Raw(body)
    return msgspec.json.encode(event)


def attribute_flaw(event: WireEvent) -> Rejected | None:
    """Check what every context asks of the attributes: text without control characters, data in JSON."""
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


def is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media in ("application/json", "text/json") or media.endswith("+json")


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


class _Names(msgspec.Struct, gc=False):
    source: Any = None
    id: Any = None


def named(rejected: Rejected, document: bytes | msgspec.Raw) -> Rejected:
    """Add source and id where they can be read, so that a publisher finds its event again."""
    try:
        names = msgspec.json.decode(document, type=_Names)
    except UNREADABLE:
        return rejected
    rejected.source = names.source if isinstance(names.source, str) else None
    rejected.id = names.id if isinstance(names.id, str) else None
    return rejected


NOT_CLOUDEVENTS = 'Send CloudEvents 1.0: specversion "1.0", and id, source, type as non-empty strings.'


def field_of(error: msgspec.ValidationError, prefix: str) -> tuple[str, str]:
    """Turn msgspec's message ("Expected `int`, got `str` - at `$.quantity`") into (field below `prefix`, detail)."""
    text, _, path = str(error).partition(" - at ")
    field = path.strip("`").removeprefix("$").lstrip(".")
    if "missing required field" in text:
        field = f"{field}.{text.split('`')[1]}".lstrip(".")
    return ".".join(part for part in (prefix, field) if part), text


def malformed(what: str, error: object, field: str | None = None) -> Rejected:
    """The rejection of what is no JSON."""
    return Rejected("malformed_json", f"{what}: {error}", field, "Send UTF-8 JSON (RFC 8259).")
