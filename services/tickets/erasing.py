"""Carrying out an erasure in the database: the key, and the plaintext in every version of every read model."""

from __future__ import annotations

import logging

from nats.aio.client import Client

from contracts.customers import CustomerErased
from services.kernel.broker import current_epoch, last_sequence, read_message
from services.kernel.database import Connection, Database
from services.tickets import intake_rows
from services.tickets.sealing import Vault

log = logging.getLogger("opsledger.tickets")

PLAINTEXT = """
SELECT format('%I.%I', c.table_schema, c.table_name)
FROM information_schema.columns c
WHERE c.column_name = 'customer' AND c.table_name LIKE '%plaintext%' AND c.table_schema LIKE 'p\\_%'
"""


async def erase_content(conn: Connection, customer: str) -> None:
    """Destroy the customer's key, then delete what was read with it.

    The key first: whoever reads with it at the moment finishes before, and nobody begins after. Read models keep
    plaintext in tables named `plaintext..` with a column `customer`, so that none is forgotten here.
    """
    await Vault().destroy(conn, customer)
    await intake_rows.forget(conn, customer)
    for (table,) in await conn.fetch(PLAINTEXT):
        await conn.execute(f"DELETE FROM {table} WHERE customer = $1", customer)


async def replay_erasures(db: Database, nc: Client, ledger: str) -> list[str]:
    """Carry out again, before anything is served, what a restored database or key table may have undone.

    Erasures that the ledger holds, and those that only its stream still knows: the database may be of before them.
    Returns the customers whose key was there again.
    """
    async with db.conn() as conn:
        head = int(await conn.fetchval("SELECT number FROM public.ledger_head WHERE ledger = $1", ledger) or 0)
        keys = {row[0] for row in await conn.fetch("SELECT customer FROM public.customer_key")}
        erased = {row[0] for row in await conn.fetch("SELECT customer FROM public.customer WHERE erased")}
    if not keys:
        return []
    epoch = await current_epoch(nc, ledger)
    if epoch is not None:
        erased |= await _erased_after(nc, ledger, epoch, head)
    again = sorted(erased & keys)
    for customer in again:
        async with db.tx() as conn:
            await erase_content(conn, customer)
        log.warning("erasure_replayed", extra={"customer": customer})
    return again


async def _erased_after(nc: Client, ledger: str, epoch: int, head: int) -> set[str]:
    """Return who was erased in the commits of the stream that the database does not hold."""
    found: set[str] = set()
    for sequence in range(head + 1, (await last_sequence(nc, ledger, epoch) or 0) + 1):
        commit, elsewhere = await read_message(nc, ledger, epoch, sequence)
        if commit is None or elsewhere:  # an erasure is small: it never travels by reference
            continue
        found |= {
            event.read(CustomerErased).customer for event in commit.events() if event.type == CustomerErased.event_type
        }
    return found
