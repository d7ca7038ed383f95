"""Which customer a publisher means: one on record by id, by the publisher's own reference or as one of ours, or new."""

from __future__ import annotations

from contracts.customers import CustomerRegistered, Profile
from contracts.ticket_intake import OpenedData
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.tickets import customers
from services.tickets import intake_rows as rows
from services.tickets.commanding import Tickets, instant
from services.tickets.customers import RegisterCustomer
from services.tickets.store import next_id, write_rows


async def customer_for(tickets: Tickets, secret: rows.Secret, work: Work, data: OpenedData, publisher: str) -> str:
    """Return the customer's id, registering a new one within the decision. Refusal `customer_unknown`."""
    given = data.customer
    if given.id is not None:
        await _refuse_foreign(work, given.id, publisher)
        return given.id
    digest = None
    if given.ref is not None:
        named = len(publisher).to_bytes(4, "big") + publisher.encode() + given.ref.encode()
        digest = await secret.digest(work.conn, b"ref", named)
        await rows.lock(work.conn, digest)
        found = await rows.customer_of_ref(work.conn, digest)
        if found is not None:
            return found
    customer = await _one_of_ours(secret, work, given.person) if given.person is not None else None
    if customer is None:
        customer = await _register(tickets, work, data, publisher)
    if digest is not None:
        await rows.keep_ref(work.conn, digest, customer)
    return customer


async def _refuse_foreign(work: Work, customer: str, publisher: str) -> None:
    """Refuse a customer that this publisher did not register: ids are easily guessed."""
    events, _ = await work.load(customers.aggregate_of(customer))
    state = customers.fold(events)
    if state is None or events[0].read(CustomerRegistered).by != f"publisher:{publisher}":
        raise Refusal(
            "customer_unknown", f"{publisher} registered no such customer", status=404, field="customer",
            remedy="Send the customer's name, or the reference that you gave it.",
        )  # fmt: skip


async def _one_of_ours(secret: rows.Secret, work: Work, person: str) -> str | None:
    await rows.lock(work.conn, await secret.digest(work.conn, b"person", person.encode()))
    found: str | None = await work.conn.fetchval(
        "SELECT customer FROM public.customer WHERE person = $1 AND NOT erased", person
    )
    return found


async def _register(tickets: Tickets, work: Work, data: OpenedData, publisher: str) -> str:
    given = data.customer
    if given.name is None:
        raise Refusal(
            "customer_unknown", "there is no such customer, and no name to register one", status=404, field="customer",
            remedy="Send the customer's name too: it is taken when the customer is new.",
        )  # fmt: skip
    name = await next_id(work.conn, "customer")
    await tickets.vault.new_key(work.conn, name)
    profile = Profile(name=given.name, company=given.company, contacts=given.contacts)
    command = RegisterCustomer(
        customer=name,
        side=data.side,
        profile=await tickets.vault.seal(work.conn, name, profile),
        person=given.person,
        unit=None,
        by=f"publisher:{publisher}",
        at=instant(work),
    )
    events = customers.decide(None, command)
    work.append(customers.aggregate_of(name), 0, events)
    # What follows in this decision looks the customer up; the ledger writes its rows only at the decision's end.
    await write_rows(work.conn, [(customers.aggregate_of(name), event) for event in events])
    return name
