"""Rows of the activity table and the ledger events made of them, encoded by msgspec.

The structs repeat contracts.activity (a test holds the two equal); they exist because every activity passes here.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec

from services.activity.rules import ActivityType, platform_of
from services.activity.structure import Candidate

SOURCE = "/opsledger/activity"
RECORDED, HELD, VOIDED, VOID, AWAITED = 1, 2, 3, 4, 5
STATES = {RECORDED: "recorded", HELD: "held", VOIDED: "voided", VOID: "void", AWAITED: "awaited"}


class Row(msgspec.Struct, gc=False):
    """One line of table `activity`, fields in the order of its columns. The refs name commits (ledger_commit.ref).

    VOIDED: the activity is taken back. VOID: this is a void itself. AWAITED: nothing has come under this identity yet
    but a void waits for it; the line is there so that the primary key keeps target and void from passing each other.
    """

    key: bytes
    content: bytes | None
    state: int
    shard: int
    recorded_ref: int | None
    voided_ref: int | None
    held_ref: int | None
    source: str
    id: str
    type: str
    subject: str
    day: date | None
    at: datetime | None
    platform: str
    account: str | None
    quantity: int
    on_topic: bool
    form: str | None
    counterpart: str | None
    campaign: str | None
    project: str | None
    title: str | None
    publisher: str


COLUMNS = Row.__struct_fields__
as_record = msgspec.structs.astuple


class Ref(msgspec.Struct, gc=False):
    source: str
    id: str


class Reason(msgspec.Struct, gc=False):
    code: str
    key: str


class RecordedData(msgspec.Struct, gc=False, omit_defaults=True):
    """contracts.activity.ActivityRecorded"""

    source: str
    id: str
    type: str
    subject: str
    time: datetime
    day: date
    data: msgspec.Raw | dict[str, Any]
    publisher: str
    corrects: Ref | None = None
    after_hold: bool = False
    content: str | None = None


class HeldData(msgspec.Struct, gc=False, omit_defaults=True):
    """contracts.activity.ActivityHeld"""

    source: str
    id: str
    type: str
    subject: str
    time: datetime
    day: date
    data: msgspec.Raw
    publisher: str
    reasons: list[Reason]
    content: str | None = None


class VoidedData(msgspec.Struct, gc=False, omit_defaults=True):
    """contracts.activity.ActivityVoided and, without `counted`, VoidAwaited"""

    target: Ref
    reason: str
    by: str
    void: Ref | None = None
    counted: RecordedData | None = None
    content: str | None = None


class Event(msgspec.Struct, gc=False):
    """A ledger event: CloudEvents 1.0 in JSON."""

    id: str
    type: str
    subject: str
    time: datetime
    data: RecordedData | HeldData | VoidedData
    specversion: str = "1.0"
    source: str = SOURCE


encode = msgspec.json.Encoder().encode
_EMPTY = msgspec.Raw(b"{}")


def row_of(event: Candidate, entry: ActivityType | None, state: int, shard: int, publisher: str) -> Row:
    """Return the line of a candidate; a void's has no platform, day or account of its own."""
    fields = event.fields
    title = fields.title
    if title is not None and "\x00" in title:
        title = title.replace("\x00", "")
    return Row(
        event.key, event.content, state, shard, None, None, None, event.source, event.id, event.name, event.subject,
        event.day, event.at, platform_of(event, entry) if entry else "", fields.account, fields.quantity,
        fields.on_topic, fields.form, fields.counterpart, fields.campaign, fields.project, title, publisher,
    )  # fmt: skip


def placeholder(key: bytes, source: str, event_id: str, shard: int, publisher: str) -> Row:
    """Return the line that stands for a target which has not come yet."""
    return Row(
        key, None, AWAITED, shard, None, None, None, source, event_id, "", "",
        None, None, "", None, 1, True, None, None, None, None, None, publisher,
    )  # fmt: skip


def recorded(
    event: Candidate, publisher: str, now: datetime, *, corrects: Ref | None = None, after_hold: bool = False
) -> bytes:
    """Encode ActivityRecorded with `data` as sent."""
    raw = event.raw if event.data else _EMPTY
    data = RecordedData(
        event.source, event.id, event.name, event.subject, event.at, event.day, raw, publisher, corrects, after_hold,
        None if event.follows else event.content.hex(),
    )  # fmt: skip
    return encode(Event(event.key.hex() + ".r", "activity.recorded.v1", event.subject, now, data))


def held(event: Candidate, publisher: str, now: datetime, reasons: list[Reason]) -> bytes:
    """Encode ActivityHeld."""
    raw = event.raw if event.data else _EMPTY
    data = HeldData(
        event.source, event.id, event.name, event.subject, event.at, event.day, raw, publisher, reasons,
        None if event.follows else event.content.hex(),
    )  # fmt: skip
    return encode(Event(event.key.hex() + ".h", "activity.held.v1", event.subject, now, data))


def voided(
    event_id: str,
    now: datetime,
    target: Ref,
    reason: str,
    by: str,
    void: Ref | None,
    counted: RecordedData | None,
    content: bytes | None,
) -> bytes:
    """Encode ActivityVoided; `counted` where the target had counted, `content` of a void that has just come."""
    subject = counted.subject if counted is not None else ""
    data = VoidedData(target, reason, by, void, counted, content.hex() if content else None)
    return encode(Event(event_id + ".v", "activity.voided.v1", subject or target.id, now, data))


def void_awaited(event_id: str, now: datetime, target: Ref, reason: str, by: str, void: Ref, content: bytes) -> bytes:
    """Encode VoidAwaited."""
    data = VoidedData(target, reason, by, void, content=content.hex())
    return encode(Event(event_id + ".w", "activity.void_awaited.v1", target.id, now, data))


def recorded_line(row: Row, raw: msgspec.Raw, now: datetime) -> bytes:
    """Encode ActivityRecorded of a line that was held, with the `data` kept since."""
    if row.at is None or row.day is None:
        raise ValueError("a line that waits for its event cannot be recorded")
    data = RecordedData(
        row.source, row.id, row.type, row.subject, row.at, row.day, raw, row.publisher,
        after_hold=True, content=row.content.hex() if row.content else None,
    )  # fmt: skip
    return encode(Event(row.key.hex() + ".r", "activity.recorded.v1", row.subject, now, data))


def counted_of(row: Row) -> RecordedData:
    """Return what a recorded activity counts as, from its line: every field of the catalogue that a figure uses."""
    named = {
        "account": row.account,
        "platform": row.platform,
        "form": row.form,
        "counterpart": row.counterpart,
        "campaign": row.campaign,
        "project": row.project,
        "title": row.title,
    }
    data: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    data["quantity"], data["on_topic"] = row.quantity, row.on_topic
    if row.at is None or row.day is None:
        raise ValueError("a line that waits for its event counts nothing")
    return RecordedData(row.source, row.id, row.type, row.subject, row.at, row.day, data, row.publisher)
