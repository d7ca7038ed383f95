"""The board: tickets as they stand, with their clocks, their timeline and what was said, for lists, search and queues.

The fold is the decisions' own `evolve`, so that the board never knows better than they do. Plaintext stands in tables
`..plaintext..` only: an erasure deletes it there, and a rebuild without the key finds none. Rows know no "now".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from pydantic import TypeAdapter

from contracts.customers import Content, CustomerChanged, CustomerErased, CustomerRegistered, Profile, Sealed
from contracts.registry import CONTEXTS
from contracts.service_levels import ServiceLevels, ServiceLevelsPutInForce
from contracts.tickets import (
    ClockBreached,
    TicketClosed,
    TicketEvent,
    TicketOpened,
    TicketReopened,
    TicketResolved,
)
from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection
from services.tickets import clocks
from services.tickets.domain import Levels, Ticket, no_levels
from services.tickets.evolve import evolve
from services.tickets.projections import board_sql
from services.tickets.sealing import Vault
from services.tickets.searching import folded, parts
from services.tickets.working_time import WorkingCalendar

NAME = "board"
TICKETS: TypeAdapter[Ticket] = TypeAdapter(Ticket)
_MODELS = CONTEXTS["tickets"]
_CUSTOMERS = {model.event_type for model in (CustomerRegistered, CustomerChanged, CustomerErased)}
_HIDDEN = {"ticket", "by", "at", "content"}  # of a timeline entry: in columns of their own, or sealed


@dataclass
class _Row:
    """A ticket's row while commits are folded into it."""

    ticket: Ticket | None = None
    version: int = 0
    opened_by: str = ""
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    reopened: int = 0
    broken: dict[str, str] = field(default_factory=dict)

    def take(self, event: TicketEvent, version: int, levels: Levels) -> None:
        self.ticket = evolve(self.ticket, event, levels)
        self.version = version
        match event:
            case TicketOpened():
                self.opened_by = event.by
            case TicketResolved():
                self.resolved_at, self.closed_at = event.at, None
            case TicketClosed():
                self.closed_at = event.at
            case TicketReopened():
                self.resolved_at = self.closed_at = None
                self.reopened += 1
                self.broken = {}
            case ClockBreached():
                self.broken[event.clock] = event.at.isoformat()

    def values(self, ticket: Ticket, levels: Levels) -> tuple[Any, ...]:
        """Return the row's values in the order of its columns."""
        shown = [self._clock(clock, levels) for clock in ticket.clocks] if ticket.is_open else []
        due = min((datetime.fromisoformat(clock["due_at"]) for clock in shown if clock["due_at"]), default=None)
        return (
            ticket.ticket, self.version, TICKETS.dump_json(ticket).decode(), json.dumps(shown),
            json.dumps(self.broken), ticket.state, ticket.kind, ticket.side, ticket.customer, ticket.unit,
            ticket.project, ticket.channel, ticket.topic, ticket.priority, ticket.assignee, self.opened_by,
            ticket.opened_at, ticket.last_at, self.resolved_at, self.closed_at, self.reopened, due,
        )  # fmt: skip

    def _clock(self, clock: clocks.Clock, levels: Levels) -> dict[str, Any]:
        at = clocks.breach_at(clock, levels.calendar)
        due = at.isoformat() if at is not None else self.broken.get(clock.kind) if clock.breached else None
        since = clock.since.isoformat() if clock.since is not None else None
        return {
            "kind": clock.kind, "target": clock.target, "used": clock.used, "since": since, "due_at": due,
            "warned": clock.warned, "breached": clock.breached,
        }  # fmt: skip


@dataclass
class _Batch:
    """What a run of commits writes."""

    rows: dict[str, _Row]
    timeline: list[tuple[Any, ...]] = field(default_factory=list)
    boxes: list[Sealed] = field(default_factory=list)
    meant: list[tuple[str, int, int | None]] = field(default_factory=list)  # of each box: subject, version, n
    erased: list[str] = field(default_factory=list)

    def seal(self, box: Sealed, subject: str, version: int, n: int | None) -> None:
        self.boxes.append(box)
        self.meant.append((subject, version, n))


class BoardProjection:
    """The projection "board" of the ledger "tickets". Ordered: a ticket's events in their order."""

    name = NAME
    ledgers: tuple[str, ...] = ("tickets",)
    ordered = True
    private = frozenset({"plaintext", "customer_plaintext"})  # a rebuild's report shows none of it

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._levels: dict[int, Levels] = {}

    async def create(self, conn: Connection) -> None:
        await conn.execute(board_sql.CREATE)

    def subject_of(self, event: Envelope) -> str | None:
        return event.aggregate if _ticket_of(event) or event.type in _CUSTOMERS else None

    def forget(self) -> None:
        """Drop the levels that were read: what loaded them may have been rolled back."""
        self._levels.clear()

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        """Fold the commits; each touched ticket is read once and written once."""
        events = [event for commit in commits for event in commit.events()]
        await self._load_levels(conn, events)
        batch = _Batch(await _read(conn, {name for name in map(_ticket_of, events) if name}))
        for event in events:
            ticket = _ticket_of(event)
            if ticket:
                self._take(batch, ticket, event)
            elif event.type in _CUSTOMERS:
                _take_customer(batch, event)
        written = [
            row.values(row.ticket, self._of(row.ticket)) for row in batch.rows.values() if row.ticket is not None
        ]
        if written:
            await conn.executemany(board_sql.TICKET, written)
        if batch.timeline:
            await conn.executemany(board_sql.TIMELINE, batch.timeline)
        await self._write_plaintext(conn, batch)

    def _take(self, batch: _Batch, ticket: str, envelope: Envelope) -> None:
        row, version = batch.rows.setdefault(ticket, _Row()), envelope.aggregateversion or 0
        if version <= row.version:
            return  # folded before
        event = cast(TicketEvent, envelope.read(_MODELS[envelope.type]))
        levels = self._levels[event.levels] if isinstance(event, TicketOpened) else self._of(row.ticket)
        row.take(event, version, levels)
        data = event.model_dump_json(exclude=_HIDDEN)
        batch.timeline.append((ticket, version, _short(envelope.type), getattr(event, "by", "system"), event.at, data))
        content: Sealed | None = getattr(event, "content", None)
        if content is not None:
            n = 0 if isinstance(event, TicketOpened) else getattr(event, "n", None)
            batch.seal(content, ticket, version, n)

    def _of(self, ticket: Ticket | None) -> Levels:
        return self._levels[ticket.levels if ticket is not None else 0]

    async def _load_levels(self, conn: Connection, events: Sequence[Envelope]) -> None:
        loaded = [event.read(ServiceLevelsPutInForce).levels for event in events if event.type == _LEVELS]
        if loaded:
            await conn.executemany(board_sql.LEVELS, [(levels.version, levels.model_dump_json()) for levels in loaded])
        if loaded or not self._levels:
            self._levels = await read_levels(conn)

    async def _write_plaintext(self, conn: Connection, batch: _Batch) -> None:
        """Unseal with all keys in one query. The erased last: a rebuild that still finds a key keeps nothing either."""
        texts: list[tuple[Any, ...]] = []
        customers: dict[str, tuple[Any, ...]] = {}
        opened = await self._vault.unseal_many(conn, batch.boxes) if batch.boxes else []
        for box, (subject, version, n), plain in zip(batch.boxes, batch.meant, opened, strict=True):
            if plain is None:
                continue
            if subject == box.customer:
                profile = Profile.model_validate_json(plain)
                found = folded(profile.name, profile.company)
                customers[subject] = (subject, version, profile.name, profile.company, found, parts(found))
                continue
            content = Content.model_validate_json(plain)
            found = folded(content.title, content.text)
            attachments = json.dumps([one.model_dump(mode="json") for one in content.attachments])
            texts.append(
                (box.customer, subject, version, n, content.title, content.text, attachments, found, parts(found))
            )
        if texts:
            await conn.executemany(board_sql.PLAINTEXT, texts)
        if customers:
            await conn.executemany(board_sql.CUSTOMER, sorted(customers.values()))
        for customer in batch.erased:
            await erase_plaintext(conn, customer)


_LEVELS = ServiceLevelsPutInForce.event_type


async def erase_plaintext(conn: Connection, customer: str) -> None:
    """Delete what is readable of a customer from the version of the board that the search path names."""
    await conn.execute("DELETE FROM plaintext WHERE customer = $1", customer)
    await conn.execute("DELETE FROM customer_plaintext WHERE customer = $1", customer)


async def read_levels(conn: Connection) -> dict[int, Levels]:
    """Return every version of the service levels that the board has folded, with 0 = none."""
    found = {0: no_levels()}
    for row in await conn.fetch("SELECT version, document FROM levels"):
        service = ServiceLevels.model_validate_json(row["document"])
        found[row["version"]] = Levels(service, WorkingCalendar(service.calendar))
    return found


async def _read(conn: Connection, tickets: set[str]) -> dict[str, _Row]:
    rows = await conn.fetch(
        "SELECT ticket, version, document, opened_by, resolved_at, closed_at, reopened, broken FROM ticket"
        " WHERE ticket = ANY($1)",
        sorted(tickets),
    )
    return {
        row["ticket"]: _Row(
            TICKETS.validate_json(row["document"]), row["version"], row["opened_by"], row["resolved_at"],
            row["closed_at"], row["reopened"], json.loads(row["broken"]),
        )
        for row in rows
    }  # fmt: skip


def _take_customer(batch: _Batch, envelope: Envelope) -> None:
    version = envelope.aggregateversion or 0
    match envelope.type:
        case CustomerRegistered.event_type:
            registered = envelope.read(CustomerRegistered)
            batch.seal(registered.profile, registered.customer, version, None)
        case CustomerChanged.event_type:
            changed = envelope.read(CustomerChanged)
            batch.seal(changed.profile, changed.customer, version, None)
        case CustomerErased.event_type:
            batch.erased.append(envelope.read(CustomerErased).customer)


def _ticket_of(event: Envelope) -> str | None:
    """Return the ticket that an event is about; None: about none, or of a kind that is not known here."""
    kind, _, name = (event.aggregate or "").partition(":")
    return name if kind == "ticket" and event.type in _MODELS else None


def _short(event_type: str) -> str:
    """ "tickets.ticket_opened.v1" -> "ticket_opened"."""
    return event_type.split(".")[1]
