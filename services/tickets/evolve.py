"""How a ticket's events change it: pure, total, and deciding nothing.

`fold` takes the aggregate's own events; the levels are those of the version named in its TicketOpened, because clocks
pass in their calendar.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from contracts.service_levels import ClockKind, Targets
from contracts.tickets import (
    ClockBreached,
    ClockWarned,
    MessageReceived,
    NoteAdded,
    OwnershipLapsed,
    PriorityChanged,
    SatisfactionGiven,
    TicketAbsorbed,
    TicketAssigned,
    TicketClassified,
    TicketClosed,
    TicketEvent,
    TicketHandedOver,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketResumed,
    TicketState,
    TicketUnassigned,
    TicketWaiting,
    WorkStarted,
)
from services.tickets import clocks
from services.tickets.clocks import Clock
from services.tickets.domain import Levels, Resolution, Ticket


def fold(events: Iterable[TicketEvent], levels: Levels, ticket: Ticket | None = None) -> Ticket | None:
    """Return the ticket after the events, in order; None before the first."""
    for event in events:
        ticket = evolve(ticket, event, levels)
    return ticket


def evolve(ticket: Ticket | None, event: TicketEvent, levels: Levels) -> Ticket:
    """Return the ticket after one event. Raises ValueError if its first event is not TicketOpened."""
    if isinstance(event, TicketOpened):
        return _opened(event)
    if ticket is None:
        raise ValueError(f"a ticket begins with TicketOpened, not {type(event).__name__}")
    return replace(_changed(ticket, event, levels), last_at=event.at, last_by_time=brought_by_time(event))


def brought_by_time(event: TicketEvent) -> bool:
    """Return whether nobody did this: it fell due."""
    match event:
        case ClockWarned() | ClockBreached() | OwnershipLapsed():
            return True
        case TicketResumed() | TicketClosed():
            return event.cause == "time"
        case TicketUnassigned():
            return event.cause == "ownership_timer"
        case _:
            return False


def state_after(ticket: Ticket, event: TicketEvent) -> TicketState:  # noqa: C901 - one case an event
    """Return the state that an event leaves a ticket in; `ticket` = as it was before the event."""
    match event:
        case TicketResolved():
            return "resolved"
        case TicketClosed():
            return "closed"
        case TicketMerged():
            return "merged"
        case TicketWaiting():
            return "waiting"
        case WorkStarted():
            return "in_progress"
        case TicketResumed():
            return "in_progress" if ticket.assignee else "open"
        case TicketReopened():
            return "assigned" if ticket.assignee else "open"
        case TicketReplied() if ticket.state == "assigned":
            return "in_progress"
        case TicketAssigned() if ticket.state != "waiting":
            return "assigned"
        case TicketUnassigned() | TicketHandedOver() if ticket.state != "waiting":
            return "open"
        case _:
            return ticket.state


def _opened(event: TicketOpened) -> Ticket:
    return Ticket(
        ticket=event.ticket,
        kind=event.kind,
        side=event.side,
        customer=event.customer,
        unit=event.unit,
        project=event.project,
        channel=event.channel,
        topic=event.topic,
        priority=event.priority,
        levels=event.levels,
        targets=event.targets,
        source=event.origin.source if event.origin else None,
        opened_at=event.at,
        last_at=event.at,
        last_by_time=False,
        response=clocks.start("first_response", event.targets.first_response, event.at),
        resolution=clocks.start("resolution", event.targets.resolution, event.at),
    )


def _changed(ticket: Ticket, event: TicketEvent, levels: Levels) -> Ticket:  # noqa: C901, PLR0912 - one case an event
    state = state_after(ticket, event)
    match event:
        case TicketOpened():
            raise ValueError(f"{ticket.ticket} is opened twice")
        case MessageReceived():
            response = ticket.response or clocks.start("next_response", ticket.targets.next_response, event.at)
            return replace(ticket, last_n=event.n, response=response)
        case TicketReplied():
            return replace(_touched(ticket, event.by, event.at), state=state, last_n=event.n, response=None)
        case NoteAdded():
            return replace(_touched(ticket, event.by, event.at), last_n=event.n)
        case TicketAssigned():
            return replace(ticket, state=state, assignee=event.person, touched_at=event.at, lapsed=False)
        case TicketUnassigned():
            return replace(ticket, state=state, assignee=None, touched_at=None, lapsed=False)
        case WorkStarted():
            return replace(_touched(ticket, event.by, event.at), state=state)
        case TicketWaiting():
            return _waiting(ticket, event, levels)
        case TicketResumed():
            return _resumed(ticket, event, state)
        case TicketResolved():
            return _resolved(ticket, event)
        case SatisfactionGiven():
            judged = replace(ticket.resolutions[event.resolution - 1], score=event.score)
            before, after = ticket.resolutions[: event.resolution - 1], ticket.resolutions[event.resolution :]
            return replace(ticket, resolutions=(*before, judged, *after))
        case TicketReopened():
            # A kept assignee's ownership begins anew: the time while it was resolved was nobody's to touch.
            return replace(
                ticket,
                state=state,
                resolution=clocks.start("resolution", ticket.targets.resolution, event.at),
                touched_at=event.at if ticket.assignee else None,
                lapsed=False,
            )
        case TicketClosed():
            return replace(ticket, state=state)
        case TicketMerged():
            ended = replace(ticket, response=None, resolution=None, waiting_on=None, waiting_until=None)
            return replace(ended, state=state, merged_into=event.into)
        case TicketAbsorbed():
            return replace(ticket, absorbed=(*ticket.absorbed, event.other))
        case TicketHandedOver():
            return replace(ticket, state=state, unit=event.to_unit)
        case TicketClassified():
            ticket = _retargeted(ticket, event.targets, levels, event.at)
            return replace(ticket, kind=event.kind, topic=event.topic, project=event.project, channel=event.channel)
        case PriorityChanged():
            return replace(_retargeted(ticket, event.targets, levels, event.at), priority=event.priority)
        case ClockWarned() | ClockBreached():
            return _fired(ticket, event)
        case OwnershipLapsed():
            return replace(ticket, lapsed=True)
        case _:
            assert_never(event)


def _touched(ticket: Ticket, by: str, at: datetime) -> Ticket:
    """The assignee gave a sign of life: the ownership timer begins anew. Nobody else's does that."""
    return replace(ticket, touched_at=at, lapsed=False) if by == ticket.assignee else ticket


def _waiting(ticket: Ticket, event: TicketWaiting, levels: Levels) -> Ticket:
    """Waiting on one of `pause_on` stops the resolution clock; another wait that does not lets it run again."""
    resolution = _running(ticket.resolution, event.at)
    if resolution is not None and event.on in levels.pause_on:
        resolution = clocks.pause(resolution, levels.calendar, event.at)
    return replace(
        _touched(ticket, event.by, event.at),
        state="waiting",
        waiting_on=event.on,
        waiting_until=event.until,
        resolution=resolution,
    )


def _resumed(ticket: Ticket, event: TicketResumed, state: TicketState) -> Ticket:
    """The ownership timer stood still while waiting: it runs from here, whoever resumed. A lapse stays said."""
    return replace(
        _touched(ticket, event.by, event.at),
        state=state,
        touched_at=event.at if ticket.assignee else None,
        waiting_on=None,
        waiting_until=None,
        resolution=_running(ticket.resolution, event.at),
    )


def _running(clock: Clock | None, at: datetime) -> Clock | None:
    return clock if clock is None or clock.since is not None else clocks.resume(clock, at)


def _resolved(ticket: Ticket, event: TicketResolved) -> Ticket:
    resolution = Resolution(event.by, event.unit, event.outcome, event.at)
    return replace(
        _touched(ticket, event.by, event.at),
        state="resolved",
        waiting_on=None,
        waiting_until=None,
        response=None,
        resolution=None,
        resolutions=(*ticket.resolutions, resolution),
    )


def _retargeted(ticket: Ticket, targets: Targets, levels: Levels, at: datetime) -> Ticket:
    def under(clock: Clock | None) -> Clock | None:
        if clock is None or target_of(targets, clock.kind) == clock.target:
            return clock
        return clocks.retarget(clock, levels.calendar, target_of(targets, clock.kind), at)

    return replace(ticket, targets=targets, response=under(ticket.response), resolution=under(ticket.resolution))


def target_of(targets: Targets, kind: ClockKind) -> int | None:
    """Return the working seconds promised for a clock of this kind; None = no promise."""
    match kind:
        case "first_response":
            return targets.first_response
        case "next_response":
            return targets.next_response
        case "resolution":
            return targets.resolution
        case _:
            assert_never(kind)


def _fired(ticket: Ticket, event: ClockWarned | ClockBreached) -> Ticket:
    def fired(clock: Clock | None) -> Clock | None:
        if clock is None or clock.kind != event.clock:
            return clock
        return replace(clock, warned=True) if isinstance(event, ClockWarned) else replace(clock, breached=True)

    return replace(ticket, response=fired(ticket.response), resolution=fired(ticket.resolution))
