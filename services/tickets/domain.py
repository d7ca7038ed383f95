"""A ticket as a decision reads it, and what may be asked of it: frozen data, nothing else.

`evolve` and `fold` are in `evolve`, the decisions in `decisions`. Content comes sealed; `at` is UTC and comes with the
command, like everything else that a decision may not read by itself. Sources: handbook H-50 .. H-52.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

from contracts.customers import Sealed, Side
from contracts.service_levels import (
    CalendarData,
    Interval,
    Ownership,
    Priority,
    ServiceLevels,
    Targets,
    TicketKind,
    WaitingOn,
)
from contracts.tickets import Origin, Outcome, TicketState
from services.tickets.clocks import Clock
from services.tickets.working_time import WorkingCalendar

SYSTEM = "system"  # `by` of what nobody did: the passing of time
OPEN_STATES: frozenset[TicketState] = frozenset({"open", "assigned", "in_progress", "waiting"})


@dataclass(frozen=True, slots=True)
class Levels:
    """The service levels that a ticket was opened under. `service` None: there were none yet (version 0)."""

    service: ServiceLevels | None
    calendar: WorkingCalendar

    @property
    def version(self) -> int:
        return self.service.version if self.service else 0

    @property
    def pause_on(self) -> tuple[WaitingOn, ...]:
        return tuple(self.service.pause_on) if self.service else ("customer",)

    @property
    def warn_percent(self) -> int:
        return self.service.warn_percent if self.service else 80

    @property
    def ownership(self) -> Ownership | None:
        return self.service.ownership if self.service else None

    @property
    def close_after(self) -> int | None:
        return self.service.close_after if self.service else None


def no_levels() -> Levels:
    """Return version 0: nothing is promised, and time is measured in plain office hours."""
    hours = [Interval(since=time(9), until=time(12)), Interval(since=time(13), until=time(18))]
    week = {"1": hours, "2": hours, "3": hours, "4": hours, "5": hours}
    return Levels(None, WorkingCalendar(CalendarData.model_validate({"week": week, "make_up": hours})))


def targets_for(levels: Levels, kind: TicketKind, priority: Priority) -> Targets:
    """Return the targets of the first rule that fits; none promised when no rule does."""
    for rule in levels.service.rules if levels.service else ():
        if (not rule.kinds or kind in rule.kinds) and (not rule.priorities or priority in rule.priorities):
            return rule.targets
    return Targets()


@dataclass(frozen=True, slots=True)
class Resolution:
    """One resolution that happened; who did it, for which unit, and the customer's verdict, if given."""

    resolver: str
    unit: str
    outcome: Outcome
    at: datetime
    score: int | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as far as decisions read it. `state` follows from the events: nobody sets it."""

    ticket: str
    kind: TicketKind
    side: Side
    customer: str
    unit: str
    project: str | None
    channel: str
    topic: str | None
    priority: Priority
    levels: int
    targets: Targets
    opened_at: datetime
    last_at: datetime  # of its last event
    last_by_time: bool  # which time alone brought: so it was said when that instant had passed already
    response: Clock | None  # first_response or next_response: one at a time
    resolution: Clock | None
    state: TicketState = "open"
    assignee: str | None = None
    touched_at: datetime | None = None  # from when the assignee's ownership timer runs
    lapsed: bool = False  # said so; again only after a touch
    waiting_on: WaitingOn | None = None
    waiting_until: datetime | None = None
    resolutions: tuple[Resolution, ...] = ()  # number n is at n - 1
    last_n: int = 0  # of messages, replies and notes; the opening text is 0
    absorbed: tuple[str, ...] = ()
    merged_into: str | None = None
    source: str | None = None  # of the event that a publisher opened it with

    @property
    def is_open(self) -> bool:
        """Whether work on it is possible."""
        return self.state in OPEN_STATES

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """The clocks of the present runs, paused ones included."""
        return tuple(clock for clock in (self.response, self.resolution) if clock is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTime:
    """Decide what fell due before `at`, and nothing else."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Who asks (staff number, "publisher:<name>", "system"), and the moment (UTC)."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTicket(_Asked):
    ticket: str
    kind: TicketKind
    side: Side
    customer: str
    unit: str
    project: str | None = None
    channel: str
    topic: str | None = None
    priority: Priority
    content: Sealed
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveMessage(_Asked):
    """The customer wrote; `by` = who brought it (a publisher, or whoever took the call)."""

    content: Sealed
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(_Asked):
    content: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNote(_Asked):
    content: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign(_Asked):
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unassign(_Asked):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWork(_Asked):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(_Asked):
    on: WaitingOn
    until: datetime | None = None
    content: Sealed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(_Asked):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve(_Asked):
    outcome: Outcome
    content: Sealed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveSatisfaction(_Asked):
    """`resolution` None = the latest."""

    score: int
    resolution: int | None = None
    content: Sealed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen(_Asked):
    content: Sealed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(_Asked):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge(_Asked):
    """This ticket goes on in `into`, of `customer`. Decided together with the other's Absorb: `decide_merge`."""

    into: str
    customer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorb(_Asked):
    """`other`, of `customer`, goes on in this ticket."""

    other: str
    customer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver(_Asked):
    """Pass it on to another unit; `content` = the reason (H-51)."""

    to_unit: str
    content: Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify(_Asked):
    """All four as they are to stand."""

    kind: TicketKind
    topic: str | None
    project: str | None
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePriority(_Asked):
    priority: Priority
    content: Sealed | None = None


Command = (
    OpenTicket
    | ReceiveMessage
    | Reply
    | AddNote
    | Assign
    | Unassign
    | StartWork
    | Wait
    | Resume
    | Resolve
    | GiveSatisfaction
    | Reopen
    | Close
    | Merge
    | Absorb
    | HandOver
    | Classify
    | ChangePriority
    | PassTime
)
