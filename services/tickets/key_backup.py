"""The customers' keys as a file of their own, apart from the ledgers' backup and kept only shortly.

A copy of the keys is what could undo an erasure. So a file says when it ends, and what comes back from one never
includes the key of a customer who is erased by then.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from services.kernel.database import Connection
from services.kernel.errors import Refusal

KEPT = timedelta(days=7)  # a backup of keys that is older counts as gone


class KeyFile(BaseModel):
    """What is in the file: JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str = "opsledger-customer-keys/1"
    made_at: datetime
    keys: dict[str, str]  # customer -> key, base64


async def take_keys(conn: Connection, at: datetime) -> KeyFile:
    """Return every key that there is."""
    rows = await conn.fetch("SELECT customer, key FROM public.customer_key ORDER BY customer")
    return KeyFile(made_at=at, keys={row["customer"]: base64.b64encode(row["key"]).decode() for row in rows})


async def bring_back(conn: Connection, file: KeyFile, at: datetime) -> int:
    """Put the keys back that are missing, but for erased customers; return how many. Refusal `keys_expired`.

    The ledger has to be back before: it knows who was erased.
    """
    if at - file.made_at > KEPT:
        raise Refusal(
            "keys_expired",
            f"these keys are of {file.made_at:%Y-%m-%d}: they are kept {KEPT.days} days",
            status=409,
            remedy="Use a newer file, and delete this one.",
        )
    names = sorted(file.keys)
    rows = await conn.fetch(
        "INSERT INTO public.customer_key (customer, key)"
        " SELECT k.customer, k.key FROM unnest($1::text[], $2::bytea[]) AS k (customer, key)"
        " JOIN public.customer c USING (customer) WHERE NOT c.erased ON CONFLICT DO NOTHING RETURNING customer",
        names, [base64.b64decode(file.keys[name]) for name in names],
    )  # fmt: skip
    return len(rows)
