"""Seals: what is personal is readable only with the key of its customer, and forgetting is destroying the key.

AES-256-GCM (NIST SP 800-38D), a random nonce a box, the customer's id as associated data: a box of one customer never
opens as another's. Keys stand in `customer_key` and nowhere else; see decision record 12.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel

from contracts.customers import Sealed
from services.kernel.database import Connection
from services.kernel.errors import Refusal

KEY_BITS = 256
NONCE_BYTES = 12


class Vault:
    """The customers' keys. Every method works inside the caller's transaction."""

    async def new_key(self, conn: Connection, customer: str) -> None:
        """Make the key of a new customer."""
        key = AESGCM.generate_key(bit_length=KEY_BITS)
        await conn.execute("INSERT INTO public.customer_key (customer, key) VALUES ($1, $2)", customer, key)

    async def seal(self, conn: Connection, customer: str, model: BaseModel) -> Sealed:
        """Return the model's canonical JSON in a box. Refusal 404 `customer_unknown`, 410 `customer_erased`.

        The key's row is locked against being destroyed before this transaction ends.
        """
        key = await conn.fetchval("SELECT key FROM public.customer_key WHERE customer = $1 FOR KEY SHARE", customer)
        if key is None:
            raise await self._missing(conn, customer)
        nonce = secrets.token_bytes(NONCE_BYTES)
        box = nonce + AESGCM(key).encrypt(nonce, canonical(model), customer.encode())
        return Sealed(customer=customer, box=base64.b64encode(box).decode())

    async def destroy(self, conn: Connection, customer: str) -> None:
        """Destroy the key, after whoever reads with it at the moment has finished."""
        await conn.execute("SELECT FROM public.customer_key WHERE customer = $1 FOR UPDATE", customer)
        await conn.execute("DELETE FROM public.customer_key WHERE customer = $1", customer)

    async def unseal_many(self, conn: Connection, boxes: Sequence[Sealed]) -> list[bytes | None]:
        """Return what is in the boxes, in their order; None where the key is gone (or the box is not that key's).

        Keys stay locked against being destroyed until the transaction ends: what it writes of their content is there
        before an erasure looks for it, or never.
        """
        names = sorted({box.customer for box in boxes})
        if not names:
            return []
        rows = await conn.fetch(
            "SELECT customer, key FROM public.customer_key WHERE customer = ANY($1) ORDER BY customer FOR KEY SHARE",
            names,
        )
        return _open_all({row["customer"]: AESGCM(row["key"]) for row in rows}, boxes)

    async def peek_many(self, conn: Connection, boxes: Sequence[Sealed]) -> list[bytes | None]:
        """Like `unseal_many` without locks, for answers that are written nowhere (read-only transactions)."""
        names = sorted({box.customer for box in boxes})
        rows = await conn.fetch("SELECT customer, key FROM public.customer_key WHERE customer = ANY($1)", names)
        return _open_all({row["customer"]: AESGCM(row["key"]) for row in rows}, boxes)

    async def _missing(self, conn: Connection, customer: str) -> Refusal:
        known = await conn.fetchval("SELECT true FROM public.customer WHERE customer = $1", customer)
        if known:
            return Refusal(
                "customer_erased",
                f"customer {customer} was erased: nothing more is kept of it",
                status=410,
                field="customer",
                remedy="Register the customer anew.",
            )
        return Refusal(
            "customer_unknown",
            f"there is no customer {customer}",
            status=404,
            field="customer",
            remedy="Register the customer first: POST /v1/customers.",
        )


def _open_all(keys: dict[str, AESGCM], boxes: Sequence[Sealed]) -> list[bytes | None]:
    return [_open(keys.get(box.customer), box) for box in boxes]


def _open(key: AESGCM | None, box: Sealed) -> bytes | None:
    if key is None:
        return None
    raw = base64.b64decode(box.box)
    try:
        return key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], box.customer.encode())
    except InvalidTag:  # sealed with a key before this one: as unreadable as an erased one
        return None


def canonical(model: BaseModel) -> bytes:
    """Return the JSON that goes into a seal: sorted keys, no spaces, no absent fields. Refusal 422 `bad_value`."""
    document = model.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    if _has_nul(document):
        raise Refusal(
            "bad_value", "a text contains U+0000, which no column holds", status=422, remedy="Send text without it."
        )
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _has_nul(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_nul(inner) for inner in value)
    return isinstance(value, str) and "\0" in value
