"""Whether somebody may see or change a customer: whoever registered it, or whose units have to do with it.

An id is easily guessed, so the role alone is not enough. Tickets and visits are asked of the read models.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.customers import CustomerRegistered
from services.kernel.auth import Access
from services.kernel.codec import Envelope
from services.kernel.projection import reading
from services.tickets.commanding import Tickets, name_of

_KNOWN = """
SELECT EXISTS (SELECT FROM ticket WHERE customer = $1 AND (unit = ANY($2::text[]) OR assignee = $3))
    OR EXISTS (SELECT FROM visit WHERE customer = $1 AND (unit = ANY($2::text[]) OR person = $3))
"""


async def refuse_customer_beyond(tickets: Tickets, access: Access, events: Sequence[Envelope]) -> None:
    """Refuse (403) a customer that the caller has nothing to do with; `events` are the customer's own."""
    registered = events[0].read(CustomerRegistered)
    if access.everything or registered.by == name_of(access.principal):
        return
    units = await tickets.units.reached(access)
    if registered.unit is not None and registered.unit in units:
        return
    async with reading(tickets.db, "board", "care") as (conn, _):
        known = await conn.fetchval(_KNOWN, registered.customer, sorted(units), access.principal.person)
    if not known:
        raise access.refuse(f"customer {registered.customer}")
