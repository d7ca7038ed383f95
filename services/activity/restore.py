"""Writes the lines of commits that come back by healing or import: what intake wrote when it decided them.

Everything that intake must know again follows from the commits; the digest of an event's content stands in them where
it does not follow from the other fields. May be called again for a later part of the same ledger, never for the same.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec

from contracts.activity import ActivityTypeDefined
from contracts.envelope import identity_key
from services.activity import facts
from services.activity.catalogue import write_types
from services.activity.facts import AWAITED, COLUMNS, HELD, RECORDED, VOID, VOIDED, Ref, Row
from services.activity.projections.identities import waits_for
from services.activity.rules import Identity
from services.activity.structure import VOID_NAME, WireData
from services.kernel.aggregates import write_aggregates
from services.kernel.canonical import content_digest, decode_json
from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection

WIRE = "opsledger.activity."


class Voided(msgspec.Struct):
    """What is read of ActivityVoided and VoidAwaited."""

    target: Ref
    reason: str
    by: str
    void: Ref | None = None
    content: str | None = None


class Recorded(msgspec.Struct):
    """What is read of ActivityRecorded and ActivityHeld; `reasons` only of the latter."""

    source: str
    id: str
    type: str
    subject: str
    time: datetime
    day: date
    data: msgspec.Raw
    publisher: str
    content: str | None = None
    reasons: list[facts.Reason] = []


async def restore(conn: Connection, commit: Commit, ref: int) -> None:
    """Write the lines of a commit; `ref` is its handle. Must run in the transaction that appends the commit."""
    shard = int(commit.ledger.rpartition(".")[2]) if "." in commit.ledger else 0
    lines = Lines(conn, shard, ref, await _words(conn))
    events = commit.events()
    versions = [(event.aggregate, event.aggregateversion) for event in events]
    if any(aggregate for aggregate, _ in versions):  # a decision on the catalogue: all its events are
        await write_aggregates(conn, ref, [(a, v) for a, v in versions if a is not None and v is not None])
    for event in events:
        if event.type == "activity.recorded.v1":
            await lines.recorded(event)
        elif event.type == "activity.held.v1":
            await lines.held(event)
        elif event.type == "activity.voided.v1":
            await lines.voided(event)
        elif event.type == "activity.void_awaited.v1":
            await lines.void_awaited(event)
        elif event.type == ActivityTypeDefined.event_type:
            await write_types(conn, [("", event.read(ActivityTypeDefined))])


async def _words(conn: Connection) -> dict[str, str]:
    rows = await conn.fetch("SELECT name, default_platform FROM catalogue WHERE default_platform IS NOT NULL")
    return {row["name"]: row["default_platform"] for row in rows}


class Lines:
    """Writes lines one by one: healing is rare, and the order of events matters."""

    def __init__(self, conn: Connection, shard: int, ref: int, words: dict[str, str]) -> None:
        self.conn = conn
        self.shard = shard
        self.ref = ref
        self.words = words

    async def recorded(self, event: Envelope) -> None:
        """An activity stands: a held line becomes recorded, else a new line takes the place of a placeholder."""
        data = msgspec.json.decode(event.data, type=Recorded)
        row = self._row(data, RECORDED)
        row.recorded_ref = self.ref
        changed = await self.conn.fetchval(
            "UPDATE activity SET state = $2, recorded_ref = $3 WHERE key = $1 AND state = $4 RETURNING true",
            row.key, RECORDED, self.ref, HELD,
        )  # fmt: skip
        if changed:
            await self.conn.execute("DELETE FROM activity_hold WHERE key = $1", row.key)
        else:
            await self._insert(row)

    async def held(self, event: Envelope) -> None:
        """An event waits for somebody or something that org does not know."""
        data = msgspec.json.decode(event.data, type=Recorded)
        row = self._row(data, HELD)
        row.held_ref = self.ref
        await self._insert(row)
        await self.conn.execute(
            "INSERT INTO activity_hold VALUES ($1, $2, $3, $4, NULL, $5)",
            row.key, bytes(data.data), row.content, row.publisher, event.time,
        )  # fmt: skip
        await self.conn.executemany(
            "INSERT INTO activity_hold_reason VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            [(row.key, waits_for(_identity(row, reason)), reason.code, reason.key) for reason in data.reasons],
        )

    async def voided(self, event: Envelope) -> None:
        """A void took effect, or found nothing more to take back."""
        data = msgspec.json.decode(event.data, type=Voided)
        target = identity_key(data.target.source, data.target.id)
        await self._void_line(data)
        await self.conn.execute(
            "UPDATE activity SET state = $2, voided_ref = $3 WHERE key = $1 AND state = ANY($4::smallint[])",
            target, VOIDED, self.ref, [RECORDED, HELD],
        )  # fmt: skip
        await self.conn.execute("DELETE FROM activity_hold WHERE key = $1", target)
        await self.conn.execute("DELETE FROM void_waiting WHERE target_key = $1", target)

    async def void_awaited(self, event: Envelope) -> None:
        """A void came first: its line, the placeholder of its target (once), and the void that waits."""
        data = msgspec.json.decode(event.data, type=Voided)
        await self._void_line(data)
        target = identity_key(data.target.source, data.target.id)
        if await self.conn.fetchval("SELECT true FROM activity WHERE key = $1", target) or data.void is None:
            return
        await self._insert(facts.placeholder(target, data.target.source, data.target.id, self.shard, data.by))
        await self.conn.execute(
            "INSERT INTO void_waiting VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            target, data.target.source, data.target.id, data.reason, data.by, data.void.source, data.void.id,
        )  # fmt: skip

    async def _void_line(self, data: Voided) -> None:
        """The void's own identity; its line may stand already, from when it began to wait."""
        if data.void is None or data.content is None:
            return
        key = identity_key(data.void.source, data.void.id)
        line = facts.placeholder(key, data.void.source, data.void.id, self.shard, data.by)
        line.state, line.type, line.content = VOID, VOID_NAME, bytes.fromhex(data.content)
        line.recorded_ref = self.ref
        if not await self.conn.fetchval("SELECT true FROM activity WHERE key = $1 AND state <> $2", key, AWAITED):
            await self._insert(line)

    async def _insert(self, row: Row) -> None:
        await self.conn.execute("DELETE FROM activity WHERE key = $1 AND state = $2", row.key, AWAITED)
        await self.conn.copy_records_to_table("activity", records=[facts.as_record(row)], columns=COLUMNS)

    def _row(self, data: Recorded, state: int) -> Row:
        fields = msgspec.json.decode(data.data, type=WireData)
        at = data.time.astimezone(UTC)
        if data.content is None:
            instant = at.isoformat()[:19] + "Z"
            content = content_digest(WIRE + data.type, data.subject, instant, decode_json(data.data))
        else:
            content = bytes.fromhex(data.content)
        platform = fields.platform or self.words.get(data.type) or data.type.partition(".")[0]
        title = fields.title.replace("\x00", "") if fields.title else fields.title
        return Row(
            identity_key(data.source, data.id), content, state, self.shard, None, None, None, data.source, data.id,
            data.type, data.subject, data.day, at, platform, fields.account,
            fields.quantity, fields.on_topic, fields.form, fields.counterpart, fields.campaign, fields.project,
            title, data.publisher,
        )  # fmt: skip


def _identity(row: Row, reason: facts.Reason) -> Identity:
    """Return whom or what a hold waits for; an account's name is taken from the line, where it is in two parts."""
    if reason.code == "unknown_account":
        return ("account", row.platform, row.account or "")
    return ("counterpart" if reason.code == "unknown_counterpart" else "person", "", reason.key)
