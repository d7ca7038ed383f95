"""What statistics count: openings, answered clocks and resolutions, each a row with its month, unit and person.

Where a ticket stands (unit, kind, topic, project) follows it as long as it is open work; what was done stays to the
credit of who did it, in the unit of then. A merged ticket is counted in the other. Rows know no "now", and no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from contracts.registry import CONTEXTS
from contracts.tickets import (
    ClockEnded,
    PriorityChanged,
    SatisfactionGiven,
    TicketClassified,
    TicketEvent,
    TicketHandedOver,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
)
from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection

NAME = "statistics"

_PLACE = "unit text NOT NULL, kind text NOT NULL, topic text, project text"
DDL = f"""
CREATE TABLE opening (ticket text PRIMARY KEY, version integer NOT NULL, at timestamptz NOT NULL, month text NOT NULL,
    {_PLACE}, side text NOT NULL, channel text NOT NULL, priority text NOT NULL, merged boolean NOT NULL);
CREATE INDEX opening_month ON opening (month, at, ticket);
CREATE TABLE answered (ticket text NOT NULL, version integer NOT NULL, clock text NOT NULL, at timestamptz NOT NULL,
    month text NOT NULL, {_PLACE}, person text NOT NULL, used integer NOT NULL, target integer, met boolean,
    PRIMARY KEY (ticket, version, clock));
CREATE INDEX answered_month ON answered (month, clock, at, ticket);
CREATE TABLE resolution (ticket text NOT NULL, resolution integer NOT NULL, version integer NOT NULL,
    at timestamptz NOT NULL, month text NOT NULL, {_PLACE}, person text NOT NULL, outcome text NOT NULL,
    score integer, reopened boolean NOT NULL, PRIMARY KEY (ticket, resolution));
CREATE INDEX resolution_month ON resolution (month, at, ticket);
"""
_OPENING = """
INSERT INTO opening VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (ticket) DO UPDATE SET version = excluded.version, unit = excluded.unit, kind = excluded.kind,
    topic = excluded.topic, project = excluded.project, channel = excluded.channel, priority = excluded.priority,
    merged = excluded.merged
"""
_ANSWERED = (
    "INSERT INTO answered VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING"
)
_RESOLUTION = """
INSERT INTO resolution VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, false) ON CONFLICT DO NOTHING
"""
_SCORE = "UPDATE resolution SET score = $3 WHERE ticket = $1 AND resolution = $2"
_REOPENED = """
UPDATE resolution SET reopened = true WHERE ticket = $1 AND resolution =
    (SELECT max(resolution) FROM resolution WHERE ticket = $1 AND version < $2)
"""
_RECLASSIFIED = """
UPDATE answered a SET kind = o.kind, topic = o.topic, project = o.project FROM opening o
WHERE o.ticket = a.ticket AND a.ticket = ANY($1) AND a.clock <> 'resolution'
"""
_MODELS = CONTEXTS["tickets"]
_COUNTED = {
    model.event_type
    for model in (
        TicketOpened, TicketReplied, TicketResolved, SatisfactionGiven, TicketReopened, TicketMerged,
        TicketHandedOver, TicketClassified, PriorityChanged,
    )
}  # fmt: skip


@dataclass
class _Opening:
    """Where a ticket stands."""

    ticket: str
    version: int
    at: datetime
    month: str
    unit: str
    kind: str
    topic: str | None
    project: str | None
    side: str
    channel: str
    priority: str
    merged: bool = False

    def values(self) -> tuple[Any, ...]:
        return tuple(vars(self).values())

    def moves(self, event: TicketEvent) -> None:
        """Follow the ticket to where the event puts it."""
        match event:
            case TicketHandedOver():
                self.unit = event.to_unit
            case TicketClassified():
                self.kind, self.topic, self.project = event.kind, event.topic, event.project
                self.channel = event.channel
            case PriorityChanged():
                self.priority = event.priority
            case TicketMerged():
                self.merged = True


@dataclass
class _Batch:
    openings: dict[str, _Opening]
    answered: list[tuple[Any, ...]] = field(default_factory=list)
    resolutions: list[tuple[Any, ...]] = field(default_factory=list)
    scores: list[tuple[Any, ...]] = field(default_factory=list)
    reopened: list[tuple[Any, ...]] = field(default_factory=list)
    reclassified: set[str] = field(default_factory=set)

    async def write(self, conn: Connection) -> None:
        """Write what was folded: rows before what changes them."""
        await conn.executemany(_OPENING, [opening.values() for opening in self.openings.values()])
        for statement, rows in (
            (_ANSWERED, self.answered), (_RESOLUTION, self.resolutions), (_SCORE, self.scores),
            (_REOPENED, self.reopened),
        ):  # fmt: skip
            if rows:
                await conn.executemany(statement, rows)
        if self.reclassified:
            await conn.execute(_RECLASSIFIED, sorted(self.reclassified))


class StatisticsProjection:
    """The projection "statistics" of the ledger "tickets". `zone`: whose months they are. Ordered by ticket."""

    name = NAME
    ledgers: tuple[str, ...] = ("tickets",)
    ordered = True

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    async def create(self, conn: Connection) -> None:
        await conn.execute(DDL)

    def subject_of(self, event: Envelope) -> str | None:
        return event.aggregate if event.type in _COUNTED else None

    def forget(self) -> None:
        """Nothing is cached."""

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        """Fold the commits; each touched ticket's place is read once and written once."""
        events = [event for commit in commits for event in commit.events() if event.type in _COUNTED]
        if not events:
            return
        touched = sorted({_ticket_of(event) for event in events})
        rows = await conn.fetch("SELECT * FROM opening WHERE ticket = ANY($1)", touched)
        batch = _Batch({row["ticket"]: _Opening(**dict(row)) for row in rows})
        for event in events:
            self._take(batch, event)
        await batch.write(conn)

    def _take(self, batch: _Batch, envelope: Envelope) -> None:
        event = cast(TicketEvent, envelope.read(_MODELS[envelope.type]))
        version, month = envelope.aggregateversion or 0, self._month(event.at)
        place = batch.openings.get(event.ticket)
        if place is not None and version <= place.version:
            return  # folded before
        if isinstance(event, TicketOpened):
            batch.openings[event.ticket] = _Opening(
                event.ticket, version, event.at, month, event.unit, event.kind, event.topic, event.project, event.side,
                event.channel, event.priority,
            )  # fmt: skip
            return
        if place is None:
            raise LookupError(f"{event.ticket} was never opened")
        place.version = version
        place.moves(event)
        match event:
            case TicketReplied() | TicketResolved():
                batch.answered += [_answer(event, one, place, version, month) for one in event.ended]
                if isinstance(event, TicketResolved):
                    batch.resolutions.append(
                        (event.ticket, event.resolution, version, event.at, month, event.unit, event.kind, event.topic,
                         event.project, event.by, event.outcome)
                    )  # fmt: skip
            case SatisfactionGiven():
                batch.scores.append((event.ticket, event.resolution, event.score))
            case TicketReopened():
                batch.reopened.append((event.ticket, version))
            case TicketClassified():
                batch.reclassified.add(event.ticket)

    def _month(self, at: datetime) -> str:
        return at.astimezone(self._zone).strftime("%Y-%m")


def _answer(
    event: TicketReplied | TicketResolved, ended: ClockEnded, place: _Opening, version: int, month: str
) -> tuple[Any, ...]:
    return (
        event.ticket, version, ended.clock, event.at, month, place.unit, place.kind, place.topic, place.project,
        event.by, ended.used, ended.target, ended.met,
    )  # fmt: skip


def _ticket_of(event: Envelope) -> str:
    return (event.aggregate or "").partition(":")[2]
