"""A request to intake, whichever way it came: the document, its content mode, and the candidates read from it.

Sources: CloudEvents 1.0.2 HTTP and NATS protocol bindings (structured, binary, batched content modes).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import msgspec

from services.activity import structure
from services.activity.facts import Ref
from services.activity.members import UNREADABLE, split
from services.activity.rules import Grant
from services.activity.structure import Candidate, Rejected
from services.kernel.errors import Refusal

MAX_EVENTS = 1000
MAX_BYTES = 2 * 1024 * 1024


@dataclass(slots=True)
class Request:
    """Candidates in the order sent, the sender's grant, and the document they came in (for the quarantine)."""

    grant: Grant
    events: list[Candidate | Rejected]
    document: bytes
    batch: bool
    message: str | None = None  # the inbox message that wants a receipt
    traceparent: str | None = None
    corrects: Ref | None = None  # a correction: what the last event of the request stands in for

    keep_rejected: bool = True

    def original(self, index: int) -> bytes:
        """Return the bytes of one event as it was sent."""
        return split(self.document)[index] if self.batch else self.document


def read_request(
    body: bytes,
    headers: Mapping[str, str],
    grant: Grant,
    zone: ZoneInfo,
    *,
    message: str | None = None,
    traceparent: str | None = None,
) -> Request:
    """Read a document; header names in lower case. Refusal where nothing of it can be read."""
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
    events = _read_batch(document, zone) if batch else [_read_one(document, zone)]
    return Request(grant, events, document, batch, message, traceparent)


def _read_batch(document: bytes, zone: ZoneInfo) -> list[Candidate | Rejected]:
    try:
        events = structure.read_batch(document, zone)
    except UNREADABLE as error:
        raise unreadable(error) from error
    if len(events) > MAX_EVENTS:
        raise too_many(f"a request may have {MAX_EVENTS} events")
    return events


def _read_one(document: bytes, zone: ZoneInfo) -> Candidate | Rejected:
    event = structure.read_event(document, zone)
    if isinstance(event, Rejected) and event.code == "malformed_json" and event.field is None:
        raise unreadable(event.detail)
    return event


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
            if structure.is_json(str(event["datacontenttype"])):
                raise unreadable("the body is not JSON") from None
        else:
            event["data"] = msgspec.Raw(body)
    return msgspec.json.encode(event)
