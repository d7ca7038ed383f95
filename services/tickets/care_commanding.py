"""Deciding about care in a transaction: fold, check the reach, look up what is referred to, decide, append."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from contracts.customers import Content, Sealed
from services.kernel.codec import Envelope
from services.kernel.committer import Committed
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.tickets.care_commands import CareCommand
from services.tickets.care_decisions import MOST_LEVELS, decide
from services.tickets.care_domain import CareState, Case, Need, Topic, Visit, VisitRule, fold
from services.tickets.commanding import Asked, Changed, Tickets, change, create
from services.tickets.projections.care import MODELS
from services.tickets.store import Numbered, read_customer

S = TypeVar("S", bound=CareState)
Make = Callable[[Any, Work], Awaitable[CareCommand]]
Begin = Callable[[str, Work], Awaitable[CareCommand]]


def state_of(events: Sequence[Envelope]) -> CareState | None:
    """Return the state that an aggregate's envelopes make."""
    return fold(cast(Any, event.read(MODELS[event.type])) for event in events)


async def change_care(tickets: Tickets, by: Asked, aggregate: str, make: Make) -> Committed[Changed]:
    """Carry out one command about one aggregate; `make` builds it from the state (None: not there yet)."""
    reach = await tickets.units.reached(by.access)

    async def decided(events: Sequence[Envelope], work: Work) -> Sequence[BaseModel]:
        state = state_of(events)
        refuse_beyond(by, reach, state)
        return decide(state, await make(state, work), tickets.settings.zone)

    return await change(tickets, by, aggregate, decided)


async def begin_care(tickets: Tickets, by: Asked, kind: Numbered, unit: str, make: Begin) -> Committed[Changed]:
    """Carry out what begins an aggregate of `unit` under a fresh id, which the answer names."""
    await refuse_unit(tickets, by, unit)

    async def decided(name: str, work: Work) -> Sequence[BaseModel]:
        return decide(None, await make(name, work), tickets.settings.zone)

    return await create(tickets, by, kind, decided)


async def refuse_unit(tickets: Tickets, by: Asked, unit: str) -> None:
    """Refuse a unit that is not there (422) or that the caller's role does not reach (403)."""
    await tickets.units.refuse_unknown(unit)
    if not by.access.everything and unit not in await tickets.units.reached(by.access):
        raise by.access.refuse(f"unit {unit}")


def refuse_beyond(by: Asked, reach: frozenset[str], state: CareState | None) -> None:
    """Refuse (403) who may not act on something of this unit: own, handed over to oneself, or within the reach."""
    if by.access.everything or not isinstance(state, Visit | VisitRule | Need | Case):
        return
    own = {Visit: "person", Need: "to", Case: "person"}.get(type(state))
    person = getattr(state, own) if own else None
    of_all = isinstance(state, Case) and state.unit is None  # a topic's complaints are no single unit's
    if state.unit in reach or of_all or (person is not None and by.access.own(person)):
        return
    raise by.access.refuse(f"something of unit {state.unit}")


async def refuse_unknown_project(work: Work, project: str | None) -> None:
    """Refuse (422 `project_unknown`) a project that nobody has defined."""
    if project is not None and not await work.version(f"project:{project}"):
        raise Refusal(
            "project_unknown", f"there is no project {project}", status=422, field="project", remedy="Define it first."
        )


async def check_customer(work: Work, customer: str, **about: str | None) -> None:
    """Refuse a customer that is not there, and a ticket or visit that is not there or another customer's (422)."""
    await read_customer(work.conn, customer)
    for kind, name in about.items():
        if name is None:
            continue
        events, _ = await work.load(f"{kind}:{name}")
        first: Any = events[0].read(MODELS[events[0].type]) if events else None
        if first is None:
            raise Refusal(f"{kind}_unknown", f"there is no {kind} {name}", status=422, field=kind)
        if first.customer != customer:
            raise Refusal(
                "another_customers",
                f"{kind} {name} is customer {first.customer}'s",
                status=422,
                field=kind,
                remedy=f"Name that customer, or leave the {kind} out.",
            )


async def seal(tickets: Tickets, work: Work, customer: str, content: Content) -> Sealed:
    """Seal content with a customer's key. Refusal 404, 410, and 422 for what the read model could not hold later."""
    if "\\u0000" in content.model_dump_json():
        raise Refusal("bad_value", "a text contains U+0000", status=422, field="text", remedy="Leave it out.")
    return await tickets.vault.seal(work.conn, customer, content)


async def topics_above(work: Work, topic: str, parent: str | None) -> tuple[Topic, ...]:
    """Return the topics above `parent`, itself first. One decision about the tree at a time, up to its end.

    Stops where it comes to `topic` again: that is a circle, which the decision refuses.
    """
    await work.conn.execute("SELECT pg_advisory_xact_lock(hashtext('tickets topics'))")
    above: list[Topic] = []
    while parent is not None and len(above) < MOST_LEVELS:
        events, _ = await work.load(f"topic:{parent}")
        found = state_of(events)
        if not isinstance(found, Topic):
            break
        above.append(found)
        if found.topic == topic:
            break
        parent = found.parent
    return tuple(above)
