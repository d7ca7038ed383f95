"""Deciding about tickets in a transaction: fold, check the reach, seal, decide, append, set the timer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from contracts.customers import Content, Sealed
from contracts.registry import CONTEXTS
from contracts.tickets import TicketEvent, TicketOpened
from services.kernel.committer import Committed
from services.kernel.errors import Refusal, VersionConflict
from services.kernel.ledger import Work
from services.tickets.commanding import Asked, Changed, Tickets, first_made, instant, submit
from services.tickets.decisions import decide, decide_merge, next_due
from services.tickets.domain import Command, Levels, Merge, OpenTicket, PassTime, Ticket
from services.tickets.evolve import fold
from services.tickets.store import next_id, read_customer, set_timer

Make = Callable[[Work, Ticket], Awaitable[Command]]
MODELS = CONTEXTS["tickets"]
OLDEST = timedelta(days=3653)  # a working calendar is laid out from the day a ticket was opened


def aggregate_of(ticket: str) -> str:
    """Return the name of a ticket's aggregate."""
    return f"ticket:{ticket}"


async def load(tickets: Tickets, work: Work, ticket: str) -> tuple[Ticket, Levels, int]:
    """Return a ticket as it stands, its service levels and its version. Refusal 404 `ticket_unknown`."""
    stored, version = await work.load(aggregate_of(ticket))
    events = [cast(TicketEvent, event.read(MODELS[event.type])) for event in stored]
    opened = events[0] if events else None
    levels = await tickets.levels.of_version(work.conn, opened.levels if isinstance(opened, TicketOpened) else 0)
    state = fold(events, levels)
    if state is None:
        raise Refusal(
            "ticket_unknown", f"there is no ticket {ticket}", status=404, field="ticket", remedy="Check its number."
        )
    return state, levels, version


async def decide_and_append(
    work: Work, state: Ticket | None, version: int, command: Command, levels: Levels
) -> tuple[int, bool]:
    """Decide, append, set the timer; return the new version and whether anything happened."""
    events = decide(state, command, levels)
    timer_may_be_off = state is None or isinstance(command, PassTime)  # a restore leaves timers that are due at once
    return await append(work, state, version, events, levels, set_anyway=timer_may_be_off), bool(events)


async def append(
    work: Work, state: Ticket | None, version: int, events: Sequence[TicketEvent], levels: Levels,
    *, set_anyway: bool = False,
) -> int:  # fmt: skip
    """Append a ticket's decided events; set its timer if that moved, or anyway. Return the new version."""
    after = fold(events, levels, state)
    if after is None:
        return version
    work.append(aggregate_of(after.ticket), version, events)
    due = next_due(after, levels)
    if set_anyway and not events:
        await _hold_still(work, aggregate_of(after.ticket), version)
    if set_anyway or state is None or due != next_due(state, levels):
        await set_timer(work.conn, after.ticket, due)
    return version + len(events)


async def _hold_still(work: Work, aggregate: str, version: int) -> None:
    """Make sure that nobody moves an aggregate before this decision ends: it appends nothing that would find out."""
    stands = await work.conn.fetchval("SELECT version FROM aggregate WHERE id = $1 FOR SHARE", aggregate)
    if stands != version:
        raise VersionConflict(aggregate, version, stands or 0)


async def change_ticket(tickets: Tickets, by: Asked, ticket: str, make: Make) -> Committed[Changed]:
    """Carry out one command about one ticket; `make` builds it from what stands, sealing what has to be sealed."""
    reach = await tickets.units.reached(by.access)

    async def decide_it(work: Work) -> Changed:
        state, levels, version = await load(tickets, work, ticket)
        refuse_beyond(by, reach, state)
        if by.version is not None and by.version != version:
            raise VersionConflict(aggregate_of(ticket), by.version, version)
        after, changed = await decide_and_append(work, state, version, await make(work, state), levels)
        return Changed(changed, after)

    async def repeated(work: Work) -> Changed:
        return Changed(False, await work.version(aggregate_of(ticket)))

    return await submit(tickets, by, decide_it, repeated)


async def open_ticket(
    tickets: Tickets, by: Asked, fields: dict[str, Any], content: Content, at: datetime | None
) -> Committed[Changed]:
    """Open a ticket for a known customer; the answer names it: {"ticket": "T1042"}."""
    await tickets.units.refuse_unknown(fields["unit"])
    if not by.access.everything and fields["unit"] not in await tickets.units.reached(by.access):
        raise by.access.refuse(f"unit {fields['unit']}")

    async def decide_it(work: Work) -> Changed:
        name, version = await open_in(tickets, work, by.by, fields, content, at)
        return Changed(True, version, {"ticket": name})

    async def repeated(work: Work) -> Changed:
        name = await first_made(work, "ticket")
        return Changed(False, await work.version(aggregate_of(name or "")), {"ticket": name})

    return await submit(tickets, by, decide_it, repeated)


async def open_in(
    tickets: Tickets, work: Work, by: str, fields: dict[str, Any], content: Content, at: datetime | None
) -> tuple[str, int]:
    """Open a ticket within a decision that may hold more (the intake's): returns its id and version.

    `fields`: kind, customer, unit, project, channel, topic, priority, origin. `at` None: now; never later than now.
    """
    now = instant(work)
    customer = await read_customer(work.conn, fields["customer"])
    moment = min(at.replace(microsecond=0), now) if at is not None else now
    if now - moment > OLDEST:
        raise Refusal(
            "time_too_old", "a ticket is opened within ten years of the customer's turning to us", status=422,
            field="time" if fields.get("origin") else "at", remedy="Check the year.",
        )  # fmt: skip
    levels = await tickets.levels.in_force(work.conn, moment)
    name = await next_id(work.conn, "ticket")
    sealed = await tickets.vault.seal(work.conn, fields["customer"], content)
    command = OpenTicket(ticket=name, side=customer["side"], content=sealed, by=by, at=moment, **fields)
    version, _ = await decide_and_append(work, None, 0, command, levels)
    return name, version


async def merge_ticket(tickets: Tickets, by: Asked, ticket: str, into: str) -> Committed[Changed]:
    """Let one ticket go on in another: both change in one decision."""
    reach = await tickets.units.reached(by.access)

    async def decide_it(work: Work) -> Changed:
        state, levels, version = await load(tickets, work, ticket)
        other, other_levels, other_version = await load(tickets, work, into)
        for one in (state, other):
            refuse_beyond(by, reach, one)
        if by.version is not None and by.version != version:
            raise VersionConflict(aggregate_of(ticket), by.version, version)
        at = instant(work)
        command = Merge(into=into, customer=other.customer, by=by.by, at=at)
        merged, absorbed = decide_merge(state, levels, other, other_levels, command)
        after = await append(work, state, version, merged, levels)
        await append(work, other, other_version, absorbed, other_levels)
        return Changed(bool(merged), after, {"into": into})

    async def repeated(work: Work) -> Changed:
        return Changed(False, await work.version(aggregate_of(ticket)), {"into": into})

    return await submit(tickets, by, decide_it, repeated)


async def seal(tickets: Tickets, work: Work, state: Ticket, content: Content) -> Sealed:
    """Seal content with the key of the ticket's customer. Refusal 410 `customer_erased`."""
    return await tickets.vault.seal(work.conn, state.customer, content)


def refuse_beyond(by: Asked, reach: frozenset[str], state: Ticket) -> None:
    """Refuse (403) who may not act on a ticket of this unit: own, or of the units that the role reaches."""
    access = by.access
    if access.everything or state.unit in reach or (state.assignee is not None and access.own(state.assignee)):
        return
    raise access.refuse(f"ticket {state.ticket} of {state.unit}")
