"""Splits events into requests that intake accepts, and says when to try again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_EVENTS = 1000  # of one request
MOST_BYTES = 2_000_000
Event = Mapping[str, Any]


class PublishError(Exception):
    """Events could not be handed over. `code` is the problem's stable code; nothing is known to be recorded."""

    def __init__(self, code: str, detail: str, *, status: int | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status


@dataclass(frozen=True)
class Batch:
    """A JSON array of CloudEvents, ready to send. The ids are the events' own, so sending it again counts once."""

    body: bytes
    first: int  # index of its first event among all
    size: int


def batches(events: Iterable[Event], most: int = 500, most_bytes: int = MOST_BYTES) -> Iterator[Batch]:
    """Yield the events in order, at most `most` (<= 1000) and `most_bytes` a batch.

    A single event above `most_bytes` goes alone: intake answers what is wrong with it.
    """
    parts: list[bytes] = []
    size = 2
    first = 0
    for event in events:
        part = json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=str).encode()
        if parts and (len(parts) >= min(most, MOST_EVENTS) or size + len(part) + 1 > most_bytes):
            yield Batch(b"[" + b",".join(parts) + b"]", first, len(parts))
            first += len(parts)
            parts, size = [], 2
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield Batch(b"[" + b",".join(parts) + b"]", first, len(parts))


def pauses(attempts: int, first: float = 0.1, longest: float = 10.0) -> Iterator[float]:
    """Yield the seconds to wait before each further attempt: doubling, up to `longest`."""
    for attempt in range(attempts - 1):
        yield min(first * 2**attempt, longest)


def problem(body: bytes, status: int | None = None) -> PublishError:
    """Return the error that an RFC 9457 problem document describes."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return PublishError("unreadable_answer", body[:200].decode(errors="replace"), status=status)
    code, detail = document.get("code", "refused"), document.get("detail") or document.get("title") or ""
    return PublishError(str(code), str(detail), status=document.get("status", status))
