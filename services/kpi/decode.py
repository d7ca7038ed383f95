"""Activity commits, decoded for the hot path: only what a day fact is made of.

What the pydantic contracts define is decoded here by msgspec, because it is read for every activity ever recorded;
a test holds the two equal. Must not judge: intake has judged, and what cannot be read at all is poison.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from services.kernel.codec import Commit, decode_body

RECORDED = "activity.recorded.v1"
VOIDED = "activity.voided.v1"


class Content(msgspec.Struct, gc=False):
    """The catalogue's fields that count, with the handbook's defaults."""

    account: str | None = None
    platform: str | None = None
    quantity: int = 1
    on_topic: bool = True
    form: str | None = None
    counterpart: str | None = None
    campaign: str | None = None


class Activity(msgspec.Struct, gc=False):
    """ActivityRecorded, as far as it counts."""

    type: str
    subject: str
    day: str
    data: Content


class _Payload(msgspec.Struct, gc=False):
    """The data of any activity ledger event: recorded fields at the top, a void's below `counted`."""

    type: str = ""
    subject: str = ""
    day: str = ""
    data: Content | None = None
    counted: Activity | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    data: _Payload


class _Kind(msgspec.Struct, gc=False):
    type: str
    data: msgspec.Raw


_events = msgspec.json.Decoder(list[_Event])
_kinds = msgspec.json.Decoder(list[_Kind])
_payload = msgspec.json.Decoder(_Payload)


def counted(commit: Commit) -> Iterator[tuple[int, Activity]]:
    """Yield (+1 or -1, activity) for everything in a commit that counts or is taken back.

    Raises msgspec.DecodeError where the body is not what the contracts say.
    """
    body = decode_body(commit.body, commit.encoding)
    try:
        events = _events.decode(body)
    except msgspec.ValidationError:
        events = _known_only(body, commit.only)
    else:
        if commit.only is not None:
            events = [events[i] for i in commit.only]
    for event in events:
        kind = event.type
        if kind == RECORDED:
            payload = event.data
            if not payload.subject or not payload.day or payload.data is None:
                raise msgspec.ValidationError("a recorded activity without subject, day or data")
            yield 1, payload  # type: ignore[misc]  # same fields, now known to be there
        elif kind == VOIDED and event.data.counted is not None:
            yield -1, event.data.counted


def _known_only(body: bytes, only: tuple[int, ...] | None) -> list[_Event]:
    """Decode event by event, so that an unknown type's other shape does no harm to the known ones."""
    kinds = _kinds.decode(body)
    chosen = kinds if only is None else [kinds[i] for i in only]
    return [_Event(k.type, _payload.decode(k.data)) for k in chosen if k.type in (RECORDED, VOIDED)]


def platform_of(activity_type: str, platform: str | None) -> str:
    """Return the platform word: the first word of the type where none is given (handbook, "Counting")."""
    return platform or activity_type.partition(".")[0]
