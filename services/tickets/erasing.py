"""Carrying out an erasure in the database: the key, and the plaintext in every version of every read model."""

from __future__ import annotations

from services.kernel.database import Connection
from services.tickets import intake_rows
from services.tickets.sealing import Vault

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
