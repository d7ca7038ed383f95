"""The decisions about a ticket: one case a command. Pure; answers with events, or none where nothing would change.

First comes what fell due before the command's instant, then what the command brings.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from contracts.tickets import (
    MessageReceived,
    NoteAdded,
    PriorityChanged,
    TicketClassified,
    TicketEvent,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResumed,
)
from services.kernel.errors import Refusal
from services.tickets import clocks
from services.tickets.decisions_end import absorb, close, give_satisfaction, merge, reopen, resolve
from services.tickets.decisions_refusals import must_be_open, must_not_be_merged
from services.tickets.decisions_time import next_due as next_due  # offered with the decisions: who decides asks it
from services.tickets.decisions_time import settle
from services.tickets.decisions_work import assign, hand_over, resume, start_work, unassign, wait
from services.tickets.domain import (
    Absorb,
    AddNote,
    Assign,
    ChangePriority,
    Classify,
    Close,
    Command,
    GiveSatisfaction,
    HandOver,
    Levels,
    Merge,
    OpenTicket,
    PassTime,
    ReceiveMessage,
    Reopen,
    Reply,
    Resolve,
    Resume,
    StartWork,
    Ticket,
    Unassign,
    Wait,
    targets_for,
)


def decide(ticket: Ticket | None, command: Command, levels: Levels) -> list[TicketEvent]:
    """Return what follows from a command; `levels` = of the ticket's version (of the new ticket for OpenTicket).

    A command is taken at its instant cut to the second, and never before the ticket's last event. Raises Refusal with
    code, field and remedy.
    """
    if isinstance(command, OpenTicket):
        return _open(ticket, command, levels)
    if ticket is None:
        raise Refusal("unknown_ticket", "there is no such ticket", status=404, field="ticket", remedy="Mend its id.")
    at = taken_at(ticket, command.at)
    ticket, passed = settle(ticket, levels, at)
    if isinstance(command, PassTime):
        return passed
    return passed + _decide(ticket, replace(command, at=at), levels)


def decide_merge(
    ticket: Ticket, levels: Levels, into: Ticket, into_levels: Levels, command: Merge
) -> tuple[list[TicketEvent], list[TicketEvent]]:
    """Return the events of both tickets of a merge, at one instant. They belong into one commit, or neither does."""
    at = max(taken_at(ticket, command.at), taken_at(into, command.at))
    merged = decide(ticket, replace(command, at=at), levels)
    absorb_it = Absorb(other=ticket.ticket, customer=ticket.customer, by=command.by, at=at)
    return merged, decide(into, absorb_it, into_levels)


def taken_at(ticket: Ticket, at: datetime) -> datetime:
    """Return the instant at which a command is taken: whole seconds, not before what is on record already.

    What fell due is said once its instant has passed, so a command after it comes at least a second later: otherwise
    a late one would keep a promise whose breach was said.
    """
    earliest = ticket.last_at + timedelta(seconds=1) if ticket.last_by_time else ticket.last_at
    return max(at.replace(microsecond=0), earliest)


def _decide(ticket: Ticket, command: Command, levels: Levels) -> list[TicketEvent]:  # noqa: C901, PLR0912 - one case a command
    if not isinstance(command, Merge | Absorb):  # the same merge again changes nothing, whatever came after it
        must_not_be_merged(ticket)
    match command:
        case ReceiveMessage():
            return _receive(ticket, command)
        case Reply():
            return _reply(ticket, command, levels)
        case AddNote():
            return _note(ticket, command)
        case Assign():
            return assign(ticket, command)
        case Unassign():
            return unassign(ticket, command)
        case StartWork():
            return start_work(ticket, command)
        case Wait():
            return wait(ticket, command)
        case Resume():
            return resume(ticket, command)
        case Resolve():
            return resolve(ticket, command, levels)
        case GiveSatisfaction():
            return give_satisfaction(ticket, command)
        case Reopen():
            return reopen(ticket, command)
        case Close():
            return close(ticket, command)
        case Merge():
            return merge(ticket, command)
        case Absorb():
            return absorb(ticket, command)
        case HandOver():
            return hand_over(ticket, command)
        case Classify():
            return _classify(ticket, command, levels)
        case ChangePriority():
            return _change_priority(ticket, command, levels)
        case OpenTicket() | PassTime():
            raise AssertionError("decided before")
        case _:
            assert_never(command)


def _open(ticket: Ticket | None, command: OpenTicket, levels: Levels) -> list[TicketEvent]:
    if ticket is not None:
        raise Refusal(
            "ticket_exists",
            f"{ticket.ticket} is there already",
            status=409,
            field="ticket",
            remedy="A new ticket takes a new number.",
        )
    return [
        TicketOpened(
            ticket=command.ticket,
            kind=command.kind,
            side=command.side,
            customer=command.customer,
            unit=command.unit,
            project=command.project,
            channel=command.channel,
            topic=command.topic,
            priority=command.priority,
            content=command.content,
            levels=levels.version,
            targets=targets_for(levels, command.kind, command.priority),
            origin=command.origin,
            by=command.by,
            at=command.at.replace(microsecond=0),
        )
    ]


def _receive(ticket: Ticket, command: ReceiveMessage) -> list[TicketEvent]:
    """The customer wrote: what waited for them goes on, and what was done with is opened again."""
    events: list[TicketEvent] = [
        MessageReceived(
            ticket=ticket.ticket,
            n=ticket.last_n + 1,
            content=command.content,
            origin=command.origin,
            by=command.by,
            at=command.at,
        )
    ]
    if ticket.state == "waiting" and ticket.waiting_on == "customer":
        events.append(TicketResumed(ticket=ticket.ticket, cause="customer_message", by=command.by, at=command.at))
    elif ticket.state in ("resolved", "closed"):
        events.append(TicketReopened(ticket=ticket.ticket, by=command.by, at=command.at))
    return events


def _reply(ticket: Ticket, command: Reply, levels: Levels) -> list[TicketEvent]:
    must_be_open(ticket, "a reply would answer nobody")
    running = ticket.response
    return [
        TicketReplied(
            ticket=ticket.ticket,
            n=ticket.last_n + 1,
            content=command.content,
            ended=[clocks.ended(running, levels.calendar, command.at)] if running is not None else [],
            by=command.by,
            at=command.at,
        )
    ]


def _note(ticket: Ticket, command: AddNote) -> list[TicketEvent]:
    return [NoteAdded(ticket=ticket.ticket, n=ticket.last_n + 1, content=command.content, by=command.by, at=command.at)]


def _classify(ticket: Ticket, command: Classify, levels: Levels) -> list[TicketEvent]:
    """Kind and whereabouts may be mended whatever the state: what was credited stands in the resolution itself."""
    stands = (ticket.kind, ticket.topic, ticket.project, ticket.channel)
    if stands == (command.kind, command.topic, command.project, command.channel):
        return []
    return [
        TicketClassified(
            ticket=ticket.ticket,
            kind=command.kind,
            topic=command.topic,
            project=command.project,
            channel=command.channel,
            targets=targets_for(levels, command.kind, ticket.priority),
            by=command.by,
            at=command.at,
        )
    ]


def _change_priority(ticket: Ticket, command: ChangePriority, levels: Levels) -> list[TicketEvent]:
    must_be_open(ticket, "nothing is urgent about it any more")
    if ticket.priority == command.priority:
        return []
    return [
        PriorityChanged(
            ticket=ticket.ticket,
            priority=command.priority,
            targets=targets_for(levels, ticket.kind, command.priority),
            content=command.content,
            by=command.by,
            at=command.at,
        )
    ]
