"""A request to intake, whichever way it came: the document, its content mode, and the candidates read from it.

Sources: CloudEvents 1.0.2 HTTP and NATS protocol bindings (structured, binary, batched content modes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from services.activity import structure
from services.activity.facts import Ref
from services.activity.rules import Grant
from services.activity.structure import Candidate
from services.kernel.members import UNREADABLE, split
from services.kernel.wire import MAX_EVENTS, Rejected, document_of, too_many, unreadable


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
    document, batch = document_of(body, headers)
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
