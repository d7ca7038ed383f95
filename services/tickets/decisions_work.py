"""Decisions about who works on a ticket and when: assignment, start, wait, resumption, hand-over."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.tickets import (
    TicketAssigned,
    TicketEvent,
    TicketHandedOver,
    TicketResumed,
    TicketUnassigned,
    TicketWaiting,
    WorkStarted,
)
from services.kernel.errors import Refusal
from services.tickets.decisions_refusals import must_be_open, not_in_this_state
from services.tickets.domain import Assign, HandOver, Resume, StartWork, Ticket, Unassign, Wait


def assign(ticket: Ticket, command: Assign) -> list[TicketEvent]:
    must_be_open(ticket, "nobody is assigned to a ticket that is done with")
    if ticket.assignee == command.person:
        return []
    return [TicketAssigned(ticket=ticket.ticket, person=command.person, by=command.by, at=command.at)]


def unassign(ticket: Ticket, command: Unassign) -> list[TicketEvent]:
    must_be_open(ticket, "its assignment stays as it was at the end")
    if ticket.assignee is None:
        return []
    return [
        TicketUnassigned(ticket=ticket.ticket, person=ticket.assignee, cause="by_hand", by=command.by, at=command.at)
    ]


def start_work(ticket: Ticket, command: StartWork) -> list[TicketEvent]:
    must_be_open(ticket, "no work begins on it")
    if ticket.state == "waiting":
        raise not_in_this_state(ticket, "work begins when it waits no longer", "Resume it instead.")
    if ticket.state == "in_progress":
        return []
    return [WorkStarted(ticket=ticket.ticket, by=command.by, at=command.at)]


def wait(ticket: Ticket, command: Wait) -> list[TicketEvent]:
    """Wait, or wait on somebody else or until another moment. The customer may not be made to wait for an answer so."""
    must_be_open(ticket, "it waits for nobody")
    until = _instant(command.until)
    if until is not None and until <= command.at:
        raise Refusal(
            "until_past",
            f"{until.isoformat()} is not after {command.at.isoformat()}",
            status=422,
            field="until",
            remedy="Give a later moment, or none.",
        )
    if command.on == "customer" and ticket.response is not None:
        raise Refusal(
            "response_due",
            f"{ticket.ticket} owes the customer an answer",
            status=409,
            field="on",
            remedy="Reply first; or wait on whoever really keeps it up.",
        )
    same = ticket.state == "waiting" and (ticket.waiting_on, ticket.waiting_until) == (command.on, until)
    if same and command.content is None:
        return []
    return [
        TicketWaiting(
            ticket=ticket.ticket,
            on=command.on,
            until=until,
            content=command.content,
            by=command.by,
            at=command.at,
        )
    ]


def _instant(until: datetime | None) -> datetime | None:
    """Return a moment given from outside as instants are kept here: UTC, cut to the second."""
    if until is None:
        return None
    if until.tzinfo is None:
        raise Refusal(
            "offset_missing",
            f"{until.isoformat()} does not say of which time zone it is",
            status=422,
            field="until",
            remedy="Give the moment with its UTC offset.",
        )
    try:
        return until.astimezone(UTC).replace(microsecond=0)
    except OverflowError as error:
        raise Refusal(
            "until_out_of_range", "no calendar reaches that far", status=422, field="until", remedy="Name a nearer day."
        ) from error


def resume(ticket: Ticket, command: Resume) -> list[TicketEvent]:
    must_be_open(ticket, "it does not wait")
    if ticket.state != "waiting":
        return []
    return [TicketResumed(ticket=ticket.ticket, cause="by_hand", by=command.by, at=command.at)]


def hand_over(ticket: Ticket, command: HandOver) -> list[TicketEvent]:
    """Another unit answers for it from now on; the assignee is dropped, the clocks go on (H-51)."""
    must_be_open(ticket, "it is no unit's work any more")
    if ticket.unit == command.to_unit:
        return []
    events: list[TicketEvent] = [
        TicketHandedOver(
            ticket=ticket.ticket,
            from_unit=ticket.unit,
            to_unit=command.to_unit,
            content=command.content,
            by=command.by,
            at=command.at,
        )
    ]
    if ticket.assignee is not None:
        events.append(
            TicketUnassigned(
                ticket=ticket.ticket, person=ticket.assignee, cause="handed_over", by=command.by, at=command.at
            )
        )
    return events
