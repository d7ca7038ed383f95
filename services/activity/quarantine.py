"""Rejected events, kept with their original bytes until they are mended, discarded or too old.

A rejection is no commit: the row is written in the transaction that rejected. Every publisher has a rate and a number
of rows, so that a broken one cannot fill the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from contracts.envelope import identity_key
from services.activity.request import Request
from services.kernel.clock import monotonic
from services.kernel.database import Connection, Database
from services.kernel.errors import Refusal
from services.kernel.members import UNREADABLE
from services.kernel.telemetry import counter
from services.kernel.wire import Rejected

ORIGINAL_BYTES = 64 * 1024
RETENTION = timedelta(days=90)
ROWS_A_PUBLISHER = 20_000
BURST, PER_SECOND = 5_000, 100.0

REJECTED = counter("opsledger_activity_rejected_total", "Events rejected by intake", ["publisher", "code"])
NOT_KEPT = counter("opsledger_activity_quarantine_dropped_total", "Rejected events beyond the rate", ["publisher"])


class Limits:
    """A token bucket for each publisher."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, publisher: str, wanted: int) -> int:
        """Return how many of `wanted` rows may be kept now."""
        now = monotonic()
        left, since = self._left.get(publisher, (float(BURST), now))
        left = min(float(BURST), left + (now - since) * PER_SECOND)
        granted = min(wanted, int(left))
        self._left[publisher] = (left - granted, now)
        return granted


async def keep(
    conn: Connection, request: Request, rejected: Sequence[tuple[int, Rejected]], now: datetime, limits: Limits
) -> None:
    """Write the rejected events of a request."""
    publisher = request.grant.publisher
    for _, flaw in rejected:
        REJECTED.labels(publisher, flaw.code).inc()
    granted = limits.take(publisher, len(rejected))
    if granted < len(rejected):
        NOT_KEPT.labels(publisher).inc(len(rejected) - granted)
    rows = []
    for index, flaw in rejected[:granted]:
        original = request.original(index)
        key = identity_key(flaw.source, flaw.id) if flaw.source and flaw.id else None
        rows.append(
            (key, _text(flaw.source), _text(flaw.id), publisher, flaw.code, _text(flaw.field), _text(flaw.detail),
             flaw.remedy, original[:ORIGINAL_BYTES], len(original) > ORIGINAL_BYTES, request.message, now)
        )  # fmt: skip
    await conn.copy_records_to_table(
        "quarantine",
        records=rows,
        columns=["key", "source", "id", "publisher", "code", "field", "detail", "remedy", "original", "cut", "message",
                 "received_at"],
    )  # fmt: skip


def _text(value: str | None) -> str | None:
    """Text that Postgres can hold."""
    return None if value is None else value.replace("\x00", "\ufffd")[:2000]


async def sweep(db: Database, now: datetime) -> int:
    """Remove what is too old, and each publisher's oldest rows beyond its number; return how many."""
    async with db.conn() as conn:
        old = await conn.execute("DELETE FROM quarantine WHERE received_at < $1", now - RETENTION)
        many = await conn.execute(
            "DELETE FROM quarantine q USING (SELECT number, row_number() OVER"
            " (PARTITION BY publisher ORDER BY number DESC) AS place FROM quarantine) r"
            " WHERE r.number = q.number AND r.place > $1",
            ROWS_A_PUBLISHER,
        )
    return int(old.split()[-1]) + int(many.split()[-1])


async def find(conn: Connection, number: int, publisher: str | None = None) -> Any:
    """Return a row; `publisher` restricts to its own. Refusal 404."""
    row = await conn.fetchrow("SELECT * FROM quarantine WHERE number = $1", number)
    if row is None or (publisher is not None and row["publisher"] != publisher):
        raise Refusal("not_in_quarantine", f"there is no rejected event {number}", status=404)
    return row


async def settle(conn: Connection, number: int, state: str, by: str, now: datetime) -> None:
    """Note that an open row was mended or discarded; again the same changes nothing. Refusal 409 where it is settled
    otherwise."""
    done = await conn.fetchval(
        "UPDATE quarantine SET state = $2, settled_by = $3, settled_at = $4"
        " WHERE number = $1 AND state = 'open' RETURNING true",
        number, state, by, now,
    )  # fmt: skip
    if not done and await conn.fetchval("SELECT state FROM quarantine WHERE number = $1", number) != state:
        raise already_settled(number)


def already_settled(number: int) -> Refusal:
    """Return the refusal of a command on a row that was mended or discarded before."""
    return Refusal(
        "already_settled",
        f"rejected event {number} is settled already",
        status=409,
        remedy=f"GET /v1/quarantine/{number} says how; /v1/events/status tells the event's fate.",
    )


def mended(original: bytes, patch: dict[str, Any]) -> bytes:
    """Return the original with an RFC 7396 merge patch applied. Refusal 422 where it is no JSON object."""
    try:
        event = msgspec.json.decode(original)
    except UNREADABLE:
        event = None
    if not isinstance(event, dict):
        raise Refusal(
            "not_mendable", "the original is no JSON object", status=422, remedy="Send the whole event as `event`."
        )
    return msgspec.json.encode(merge(event, patch))


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396 JSON Merge Patch."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def masked(original: bytes) -> str:
    """Return the original with every value of `data` hidden; what is no event is hidden whole."""
    try:
        event = msgspec.json.decode(original)
    except UNREADABLE:
        return f"({len(original)} bytes)"
    if not isinstance(event, dict):
        return f"({len(original)} bytes)"
    data = event.get("data")
    event["data"] = dict.fromkeys(data, "***") if isinstance(data, dict) else "***"
    event.pop("data_base64", None)
    return msgspec.json.encode(event).decode()
