"""Customers: registered, changed, erased. Pure decisions; the profile comes sealed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from contracts.customers import (
    CustomerChanged,
    CustomerErased,
    CustomerEvent,
    CustomerRegistered,
    ErasureCause,
    Sealed,
    Side,
)
from services.kernel.codec import Envelope
from services.kernel.errors import Refusal

EVENTS: dict[str, type[CustomerEvent]] = {
    model.event_type: model for model in (CustomerRegistered, CustomerChanged, CustomerErased)
}


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as decisions read it."""

    customer: str
    side: Side
    profile: Sealed
    person: str | None = None
    unit: str | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class RegisterCustomer:
    customer: str
    side: Side
    profile: Sealed
    person: str | None
    unit: str | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ChangeCustomer:
    profile: Sealed
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EraseCustomer:
    cause: ErasureCause
    by: str
    at: datetime


Command = RegisterCustomer | ChangeCustomer | EraseCustomer


def aggregate_of(customer: str) -> str:
    """Return the name of a customer's aggregate."""
    return f"customer:{customer}"


def fold(events: Iterable[Envelope]) -> Customer | None:
    """Return the customer after its events; None: there is none."""
    state: Customer | None = None
    for event in events:
        state = evolve(state, event.read(EVENTS[event.type]))
    return state


def evolve(state: Customer | None, event: CustomerEvent) -> Customer:
    """Return the customer after one more event."""
    if isinstance(event, CustomerRegistered):
        return Customer(event.customer, event.side, event.profile, event.person, event.unit)
    if state is None:
        raise ValueError("a customer begins with its registration")
    profile = event.profile if isinstance(event, CustomerChanged) else state.profile
    erased = state.erased or isinstance(event, CustomerErased)
    return Customer(state.customer, state.side, profile, state.person, state.unit, erased)


def decide(state: Customer | None, command: Command) -> list[CustomerEvent]:
    """Return the events of a command. Refusals: 404 `customer_unknown`, 410 `customer_erased`, 422 by what is wrong."""
    if isinstance(command, RegisterCustomer):
        if command.side == "outside" and (command.person or command.unit):
            raise Refusal(
                "outside_customer_is_no_person_of_ours", "an outside customer has neither staff number nor unit",
                status=422, field="person", remedy='Leave them out, or register with side "inside".',
            )  # fmt: skip
        return [
            CustomerRegistered(
                customer=command.customer, side=command.side, profile=command.profile, person=command.person,
                unit=command.unit, by=command.by, at=command.at,
            )
        ]  # fmt: skip
    if state is None:
        raise Refusal("customer_unknown", "there is no such customer", status=404, remedy="Register it first.")
    if isinstance(command, EraseCustomer):
        if state.erased:
            return []
        return [CustomerErased(customer=state.customer, cause=command.cause, by=command.by, at=command.at)]
    if isinstance(command, ChangeCustomer):
        if state.erased:
            raise Refusal(
                "customer_erased", f"customer {state.customer} was erased", status=410, remedy="Register anew."
            )
        return [CustomerChanged(customer=state.customer, profile=command.profile, by=command.by, at=command.at)]
    assert_never(command)
