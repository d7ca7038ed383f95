"""What falls due on a ticket by the passing of time alone, in the order of its instants.

Woken late, early or twice, the same events come out, each with the very instant at which it fell due. Due is said only
once time has gone beyond it: a promise kept to the second is kept. Source: decision record 11.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.tickets import (
    ClockBreached,
    ClockWarned,
    OwnershipLapsed,
    TicketClosed,
    TicketEvent,
    TicketResumed,
    TicketUnassigned,
)
from services.tickets import clocks
from services.tickets.clocks import Clock
from services.tickets.domain import SYSTEM, Levels, Ticket
from services.tickets.evolve import evolve


@dataclass(frozen=True, slots=True)
class _Due:
    at: datetime
    what: Literal["warn", "breach", "lapse", "resume", "close"]
    clock: Clock | None = None


def next_due(ticket: Ticket, levels: Levels) -> datetime | None:
    """Return the earliest instant after which time alone brings an event; None = never."""
    return min((due.at for due in _dues(ticket, levels)), default=None)


def settle(ticket: Ticket, levels: Levels, before: datetime) -> tuple[Ticket, list[TicketEvent]]:
    """Return the ticket and the events of everything that fell due strictly before an instant, in order."""
    passed: list[TicketEvent] = []
    while True:
        due = min(_dues(ticket, levels), key=lambda due: due.at, default=None)  # of equals, the first
        if due is None or due.at >= before:
            return ticket, passed
        for event in _events(ticket, levels, due):
            ticket = evolve(ticket, event, levels)
            passed.append(event)


def _dues(ticket: Ticket, levels: Levels) -> Iterator[_Due]:
    """Yield what may fall due as the ticket stands; of equal instants, the first is the first to be said."""
    for clock in ticket.clocks:
        yield from _clock_dues(clock, levels, ticket.last_at)
    if (at := _lapse_at(ticket, levels)) is not None:
        yield _Due(max(at, ticket.last_at), "lapse")
    if ticket.state == "waiting" and ticket.waiting_until is not None:
        yield _Due(max(ticket.waiting_until, ticket.last_at), "resume")
    if ticket.state == "resolved" and levels.close_after is not None:
        closes = _after(levels, ticket.resolutions[-1].at, levels.close_after)
        if closes is not None:
            yield _Due(max(closes, ticket.last_at), "close")


def _clock_dues(clock: Clock, levels: Levels, last_at: datetime) -> Iterator[_Due]:
    try:
        warned = clocks.warning_at(clock, levels.calendar, levels.warn_percent)
        breached = clocks.breach_at(clock, levels.calendar)
    except ValueError:  # never: the calendar has not that much working time
        return
    if warned is not None:
        yield _Due(max(warned, last_at), "warn", clock)
    if breached is not None:
        yield _Due(max(breached, last_at), "breach", clock)


def _lapse_at(ticket: Ticket, levels: Levels) -> datetime | None:
    """Return when an untouched ticket lapses. Nobody has to touch one that waits or is done with."""
    if levels.ownership is None or ticket.lapsed or ticket.touched_at is None or ticket.assignee is None:
        return None
    if ticket.state not in ("assigned", "in_progress"):
        return None
    return _after(levels, ticket.touched_at, levels.ownership.seconds)


def _after(levels: Levels, start: datetime, seconds: int) -> datetime | None:
    """Return when so much working time has passed; None = never, in a calendar without working time."""
    try:
        return levels.calendar.after(start, seconds)
    except ValueError:
        return None


def _events(ticket: Ticket, levels: Levels, due: _Due) -> list[TicketEvent]:
    name, at, unit = ticket.ticket, due.at, ticket.unit
    match due.what:
        case "warn" | "breach":
            clock = due.clock
            if clock is None or clock.target is None:
                raise AssertionError("a clock without a target falls due")
            kind = ClockWarned if due.what == "warn" else ClockBreached
            return [
                kind(ticket=name, clock=clock.kind, target=clock.target, assignee=ticket.assignee, unit=unit, at=at)
            ]
        case "lapse":
            return _lapse(ticket, levels, at)
        case "resume":
            return [TicketResumed(ticket=name, cause="time", by=SYSTEM, at=at)]
        case "close":
            return [TicketClosed(ticket=name, cause="time", by=SYSTEM, at=at)]


def _lapse(ticket: Ticket, levels: Levels, at: datetime) -> list[TicketEvent]:
    person = ticket.assignee
    if person is None or levels.ownership is None:
        raise AssertionError("a ticket lapses that nobody has to touch")
    action = levels.ownership.action
    events: list[TicketEvent] = [
        OwnershipLapsed(ticket=ticket.ticket, person=person, unit=ticket.unit, action=action, at=at)
    ]
    if action == "unassign":
        events.append(TicketUnassigned(ticket=ticket.ticket, person=person, cause="ownership_timer", by=SYSTEM, at=at))
    return events
