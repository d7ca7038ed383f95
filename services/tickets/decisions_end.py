"""Decisions about a ticket's end: resolution, the customer's verdict, reopening, closing, merging."""

from __future__ import annotations

from contracts.tickets import (
    SatisfactionGiven,
    TicketAbsorbed,
    TicketClosed,
    TicketEvent,
    TicketMerged,
    TicketReopened,
    TicketResolved,
)
from services.kernel.errors import Refusal
from services.tickets import clocks
from services.tickets.decisions_refusals import must_be_open, must_not_be_merged, not_in_this_state
from services.tickets.domain import Absorb, Close, GiveSatisfaction, Levels, Merge, Reopen, Resolve, Ticket


def resolve(ticket: Ticket, command: Resolve, levels: Levels) -> list[TicketEvent]:
    """Resolve it, to the credit of whoever asks and the unit that answers for it now. A response that was due came."""
    if ticket.state == "resolved":
        latest = ticket.resolutions[-1]
        if (latest.resolver, latest.outcome) == (command.by, command.outcome):
            return []
    must_be_open(ticket, "it has been resolved")
    return [
        TicketResolved(
            ticket=ticket.ticket,
            resolution=len(ticket.resolutions) + 1,
            outcome=command.outcome,
            content=command.content,
            unit=ticket.unit,
            kind=ticket.kind,
            project=ticket.project,
            topic=ticket.topic,
            ended=[clocks.ended(clock, levels.calendar, command.at) for clock in ticket.clocks],
            by=command.by,
            at=command.at,
        )
    ]


def give_satisfaction(ticket: Ticket, command: GiveSatisfaction) -> list[TicketEvent]:
    """The verdict on a resolution, once: a later reopening, assignment or hand-over moves no credit."""
    if not 1 <= command.score <= 5:
        raise Refusal(
            "score_out_of_range",
            f"a score of {command.score}",
            status=422,
            field="score",
            remedy="Give 1 (worst) to 5 (best).",
        )
    if not ticket.resolutions:
        raise not_in_this_state(ticket, "there is no resolution to judge yet", "Resolve it first.")
    number = len(ticket.resolutions) if command.resolution is None else command.resolution
    if not 1 <= number <= len(ticket.resolutions):
        raise Refusal(
            "unknown_resolution",
            f"{ticket.ticket} has been resolved {len(ticket.resolutions)} times; there is no resolution {number}",
            status=422,
            field="resolution",
            remedy="Name a resolution that happened, or none for the latest.",
        )
    judged = ticket.resolutions[number - 1]
    if judged.score is not None:
        if judged.score == command.score and command.content is None:
            return []
        raise Refusal(
            "satisfaction_already_given",
            f"resolution {number} of {ticket.ticket} was given a {judged.score}",
            status=409,
            field="resolution",
            remedy="A verdict is given once a resolution; further words are a message.",
        )
    return [
        SatisfactionGiven(
            ticket=ticket.ticket,
            resolution=number,
            score=command.score,
            resolver=judged.resolver,
            unit=judged.unit,
            content=command.content,
            by=command.by,
            at=command.at,
        )
    ]


def reopen(ticket: Ticket, command: Reopen) -> list[TicketEvent]:
    if ticket.is_open and ticket.resolutions:
        return []
    if ticket.is_open:
        raise not_in_this_state(ticket, "it has not been resolved", "Work on it as it is.")
    return [TicketReopened(ticket=ticket.ticket, content=command.content, by=command.by, at=command.at)]


def close(ticket: Ticket, command: Close) -> list[TicketEvent]:
    if ticket.state == "closed":
        return []
    if ticket.state != "resolved":
        raise not_in_this_state(ticket, "only a resolved ticket is closed", "Resolve it first, with its outcome.")
    return [TicketClosed(ticket=ticket.ticket, cause="by_hand", by=command.by, at=command.at)]


def merge(ticket: Ticket, command: Merge) -> list[TicketEvent]:
    if ticket.merged_into == command.into:
        return []
    _may_join(ticket, command.into, command.customer, "into")
    return [TicketMerged(ticket=ticket.ticket, into=command.into, by=command.by, at=command.at)]


def absorb(ticket: Ticket, command: Absorb) -> list[TicketEvent]:
    if command.other in ticket.absorbed:
        return []
    _may_join(ticket, command.other, command.customer, "other")
    return [TicketAbsorbed(ticket=ticket.ticket, other=command.other, by=command.by, at=command.at)]


def _may_join(ticket: Ticket, other: str, customer: str, field: str) -> None:
    """Two tickets join when they are two, of one customer, and both worked on (each side asks for itself)."""
    must_not_be_merged(ticket)
    if other == ticket.ticket:
        raise Refusal(
            "merge_with_itself",
            f"{other} cannot be merged into itself",
            status=422,
            field=field,
            remedy="Name another ticket.",
        )
    if customer != ticket.customer:
        raise Refusal(
            "other_customer",
            f"{ticket.ticket} is of {ticket.customer}, {other} of {customer}",
            status=409,
            field=field,
            remedy="Only tickets of one customer are merged: what is said in them is sealed with that customer's key.",
        )
    must_be_open(ticket, "only tickets that are worked on are merged")
