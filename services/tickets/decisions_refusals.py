"""The refusals that several decisions about tickets share."""

from __future__ import annotations

from services.kernel.errors import Refusal
from services.tickets.domain import Ticket


def not_in_this_state(ticket: Ticket, wanted: str, remedy: str) -> Refusal:
    """The refusal of what is not possible as the ticket stands."""
    return Refusal(
        "not_in_this_state",
        f"{ticket.ticket} is {ticket.state}: {wanted}",
        status=409,
        remedy=remedy,
    )


def must_be_open(ticket: Ticket, wanted: str) -> None:
    """Refuse what needs a ticket that is worked on."""
    if not ticket.is_open:
        raise not_in_this_state(ticket, wanted, "Reopen it first.")


def must_not_be_merged(ticket: Ticket) -> None:
    """Refuse everything about a merged ticket; the detail and the remedy name the one it went into."""
    if ticket.merged_into is not None:
        raise Refusal(
            "ticket_merged",
            f"{ticket.ticket} was merged into {ticket.merged_into}",
            status=409,
            field="ticket",
            remedy=f"Go on in {ticket.merged_into}.",
        )
