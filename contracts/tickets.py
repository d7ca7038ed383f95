"""Events of the tickets ledger ("tickets"): customers' tickets from opening to the last satisfaction.

Each event is a fact with its own moment `at` (UTC) and whoever did it (`by`: staff number, "publisher:<name>" or
"system"); credit is fixed in it, so that no later change of assignment moves it. Free text is sealed (customers).
Sources: handbook H-50 .. H-53. Return visits, needs, cases and reports are in `care`.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.care import CareEvent
from contracts.customers import CustomerEvent, Sealed, Side
from contracts.service_levels import ClockKind, LevelEvent, Priority, Targets, TicketKind, WaitingOn

OPENED_TYPE = "opsledger.ticket.opened"  # on the wire: a publisher opens a ticket
MESSAGE_TYPE = "opsledger.ticket.message"  # on the wire: a customer's further message

TicketState = Literal["open", "assigned", "in_progress", "waiting", "resolved", "closed", "merged"]
Outcome = Literal["solved", "explained", "declined", "withdrawn"]
ResumeCause = Literal["by_hand", "customer_message", "time"]
UnassignCause = Literal["by_hand", "ownership_timer", "handed_over"]


class TicketModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Origin(TicketModel):
    """The publisher's identity of what came over the wire."""

    source: str
    id: str


class ClockEnded(TicketModel):
    """What a clock had measured when it was answered: working seconds, and whether its promise was kept.

    `met` None: nothing was promised.
    """

    clock: ClockKind
    used: int
    target: int | None
    met: bool | None


class TicketOpened(TicketModel):
    """A ticket was opened. `at` = when the customer turned to us; `levels` = service-level version (0: none yet)."""

    event_type: ClassVar[str] = "tickets.ticket_opened.v1"
    ticket: str  # "T1042"
    kind: TicketKind
    side: Side
    customer: str
    unit: str  # the unit that answers for it
    project: str | None = None
    channel: str  # "phone", "mail", "web", "qq", "wechat", "visit", ..: data, not a fixed list
    topic: str | None = None
    priority: Priority
    content: Sealed
    levels: int
    targets: Targets
    origin: Origin | None = None
    by: str
    at: datetime


class MessageReceived(TicketModel):
    """The customer wrote again. `n` numbers a ticket's messages, replies and notes from 1 (the opening text is 0)."""

    event_type: ClassVar[str] = "tickets.message_received.v1"
    ticket: str
    n: int
    content: Sealed
    origin: Origin | None = None
    by: str
    at: datetime


class TicketReplied(TicketModel):
    """The customer was answered; `ended`: the response clock that this stopped."""

    event_type: ClassVar[str] = "tickets.ticket_replied.v1"
    ticket: str
    n: int
    content: Sealed
    ended: list[ClockEnded] = Field(default_factory=list)
    by: str
    at: datetime


class NoteAdded(TicketModel):
    """An internal note: the customer does not see it, and no clock hears of it."""

    event_type: ClassVar[str] = "tickets.note_added.v1"
    ticket: str
    n: int
    content: Sealed
    by: str
    at: datetime


class TicketAssigned(TicketModel):
    event_type: ClassVar[str] = "tickets.ticket_assigned.v1"
    ticket: str
    person: str
    by: str
    at: datetime


class TicketUnassigned(TicketModel):
    event_type: ClassVar[str] = "tickets.ticket_unassigned.v1"
    ticket: str
    person: str
    cause: UnassignCause
    by: str
    at: datetime


class WorkStarted(TicketModel):
    event_type: ClassVar[str] = "tickets.work_started.v1"
    ticket: str
    by: str
    at: datetime


class TicketWaiting(TicketModel):
    """Nothing can be done until somebody else does something; `until` = looked at again then, whatever comes."""

    event_type: ClassVar[str] = "tickets.ticket_waiting.v1"
    ticket: str
    on: WaitingOn
    until: datetime | None = None
    content: Sealed | None = None
    by: str
    at: datetime


class TicketResumed(TicketModel):
    event_type: ClassVar[str] = "tickets.ticket_resumed.v1"
    ticket: str
    cause: ResumeCause
    by: str
    at: datetime


class TicketResolved(TicketModel):
    """Resolution number `resolution` (1, 2 after a reopening, ..), to the credit of `by` in `unit`."""

    event_type: ClassVar[str] = "tickets.ticket_resolved.v1"
    ticket: str
    resolution: int
    outcome: Outcome
    content: Sealed | None = None
    unit: str
    kind: TicketKind
    project: str | None = None
    topic: str | None = None
    ended: list[ClockEnded] = Field(default_factory=list)
    by: str
    at: datetime


class SatisfactionGiven(TicketModel):
    """The customer's verdict on one resolution, once; to the credit of whoever resolved."""

    event_type: ClassVar[str] = "tickets.satisfaction_given.v1"
    ticket: str
    resolution: int
    score: int = Field(ge=1, le=5)
    resolver: str
    unit: str
    content: Sealed | None = None
    by: str
    at: datetime


class TicketReopened(TicketModel):
    event_type: ClassVar[str] = "tickets.ticket_reopened.v1"
    ticket: str
    content: Sealed | None = None
    by: str
    at: datetime


class TicketClosed(TicketModel):
    event_type: ClassVar[str] = "tickets.ticket_closed.v1"
    ticket: str
    cause: Literal["by_hand", "time"]
    by: str
    at: datetime


class TicketMerged(TicketModel):
    """This ticket goes on in another; its clocks end unjudged. The same commit holds the other's TicketAbsorbed."""

    event_type: ClassVar[str] = "tickets.ticket_merged.v1"
    ticket: str
    into: str
    by: str
    at: datetime


class TicketAbsorbed(TicketModel):
    event_type: ClassVar[str] = "tickets.ticket_absorbed.v1"
    ticket: str
    other: str
    by: str
    at: datetime


class TicketHandedOver(TicketModel):
    """Passed on between units, with the reason on record (H-51)."""

    event_type: ClassVar[str] = "tickets.ticket_handed_over.v1"
    ticket: str
    from_unit: str
    to_unit: str
    content: Sealed
    by: str
    at: datetime


class TicketClassified(TicketModel):
    """Kind, topic, project and channel as they stand from now on; the targets follow the kind."""

    event_type: ClassVar[str] = "tickets.ticket_classified.v1"
    ticket: str
    kind: TicketKind
    topic: str | None
    project: str | None
    channel: str
    targets: Targets
    by: str
    at: datetime


class PriorityChanged(TicketModel):
    """The clocks go on with other targets, from the same working seconds used; the record of the change is this."""

    event_type: ClassVar[str] = "tickets.priority_changed.v1"
    ticket: str
    priority: Priority
    targets: Targets
    content: Sealed | None = None
    by: str
    at: datetime


class ClockWarned(TicketModel):
    """A share of a target is used up. `at` is the very instant, however late anybody woke to say so."""

    event_type: ClassVar[str] = "tickets.clock_warned.v1"
    ticket: str
    clock: ClockKind
    target: int
    assignee: str | None
    unit: str
    at: datetime


class ClockBreached(TicketModel):
    """A promise was broken at the instant `at`, always inside working time. Once per clock run."""

    event_type: ClassVar[str] = "tickets.clock_breached.v1"
    ticket: str
    clock: ClockKind
    target: int
    assignee: str | None
    unit: str
    at: datetime


class OwnershipLapsed(TicketModel):
    """The assignee had not touched the ticket for the stated working time; what follows is in `action`."""

    event_type: ClassVar[str] = "tickets.ownership_lapsed.v1"
    ticket: str
    person: str
    unit: str
    action: Literal["unassign", "tell_leader"]
    at: datetime


TicketEvent = (
    TicketOpened
    | MessageReceived
    | TicketReplied
    | NoteAdded
    | TicketAssigned
    | TicketUnassigned
    | WorkStarted
    | TicketWaiting
    | TicketResumed
    | TicketResolved
    | SatisfactionGiven
    | TicketReopened
    | TicketClosed
    | TicketMerged
    | TicketAbsorbed
    | TicketHandedOver
    | TicketClassified
    | PriorityChanged
    | ClockWarned
    | ClockBreached
    | OwnershipLapsed
)
TicketsEvent = TicketEvent | CustomerEvent | LevelEvent | CareEvent
