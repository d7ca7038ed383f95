"""The identities of what came in, and publishers' references of customers: rows read and written by decisions."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from contracts.envelope import identity_key
from contracts.tickets import MessageReceived, TicketOpened
from services.kernel.codec import Envelope
from services.kernel.database import Connection

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an event became that is on record: an event of a ticket, at a version of it."""

    content: bytes | None
    ticket: str
    version: int


class Secret:
    """The instance's key for digests of what must not be readable; read once."""

    def __init__(self) -> None:
        self._key: bytes | None = None

    async def digest(self, conn: Connection, purpose: bytes, value: bytes) -> bytes:
        """Return the 16-byte HMAC-SHA256 of a value; digests of two purposes have nothing in common."""
        if self._key is None:
            self._key = bytes(await conn.fetchval("SELECT secret FROM public.intake_secret"))
        message = len(purpose).to_bytes(4, "big") + purpose + value
        return hmac.new(self._key, message, hashlib.sha256).digest()[:DIGEST_BYTES]


async def find(conn: Connection, key: bytes) -> Recorded | None:
    """Return what stands under an identity."""
    row = await conn.fetchrow("SELECT content, ticket, version FROM public.ticket_intake WHERE key = $1", key)
    return Recorded(row["content"], row["ticket"], row["version"]) if row is not None else None


async def claim(conn: Connection, key: bytes, content: bytes) -> bool:
    """Take an identity for this decision; False: somebody else was faster, and its decision stands."""
    claimed = await conn.fetchval(
        "INSERT INTO public.ticket_intake (key, content) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
        key, content,
    )  # fmt: skip
    return bool(claimed)


async def settle(conn: Connection, key: bytes, ticket: str, version: int, customer: str) -> None:
    """Say what the claimed identity became, in the same decision."""
    await conn.execute(
        "UPDATE public.ticket_intake SET ticket = $2, version = $3, customer = $4 WHERE key = $1",
        key, ticket, version, customer,
    )  # fmt: skip


async def commit_of(conn: Connection, ticket: str, version: int) -> tuple[int | None, str | None]:
    """Return (ref, position) of the commit in which a ticket's event stands; no position before it has its number."""
    row = await conn.fetchrow(
        "SELECT e.ref, c.ledger || ':' || c.number AS position FROM public.aggregate_event e"
        " LEFT JOIN public.ledger_commit c USING (ref) WHERE e.aggregate = $1 AND e.version = $2",
        f"ticket:{ticket}", version,
    )  # fmt: skip
    return (row["ref"], row["position"]) if row is not None else (None, None)


async def lock(conn: Connection, digest: bytes) -> None:
    """One decision at a time about what a digest stands for: the same new customer twice must be one customer."""
    await conn.execute("SELECT pg_advisory_xact_lock($1)", int.from_bytes(digest[:8], "big", signed=True))


async def customer_of_ref(conn: Connection, digest: bytes) -> str | None:
    """Return the customer that a reference names."""
    found: str | None = await conn.fetchval("SELECT customer FROM public.customer_ref WHERE digest = $1", digest)
    return found


async def keep_ref(conn: Connection, digest: bytes, customer: str) -> None:
    await conn.execute(
        "INSERT INTO public.customer_ref (digest, customer) VALUES ($1, $2)"
        " ON CONFLICT (digest) DO UPDATE SET customer = $2",
        digest, customer,
    )  # fmt: skip


async def forget(conn: Connection, customer: str) -> None:
    """Drop what intake knows of a customer, in the erasing transaction; its events still count once."""
    await conn.execute("DELETE FROM public.customer_ref WHERE customer = $1", customer)
    await conn.execute("UPDATE public.ticket_intake SET content = NULL WHERE customer = $1", customer)


async def restore(conn: Connection, events: Iterable[Envelope]) -> None:
    """Write the identities of events that came back by healing or import."""
    for event in events:
        said: TicketOpened | MessageReceived
        if event.type == TicketOpened.event_type:
            said = event.read(TicketOpened)
        elif event.type == MessageReceived.event_type:
            said = event.read(MessageReceived)
        else:
            continue
        if said.origin is not None:
            await conn.execute(
                "INSERT INTO public.ticket_intake (key, ticket, version, customer) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT DO NOTHING",
                identity_key(said.origin.source, said.origin.id), said.ticket, event.aggregateversion,
                said.content.customer,
            )  # fmt: skip
