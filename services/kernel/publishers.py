"""What a publisher may send, as org has it on record: for those that come over NATS, and for what a token leaves out.

Reads the table `publisher` of a projection of the service's own; which projection has it, the service says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from services.kernel.clock import monotonic
from services.kernel.database import Database
from services.kernel.errors import Refusal
from services.kernel.projection import reading

BELIEVED = 1.0  # seconds that a publisher's permissions are believed
KNOWN_WITHIN = 3.0  # a publisher that NATS admits is on its way to our record


@dataclass(frozen=True, slots=True)
class Sender:
    """A publisher: the types that it may send (None = any), and the names that it may speak in."""

    name: str
    types: frozenset[str] | None
    sources: frozenset[str]


def sender(name: str, types: Iterable[str], sources: Iterable[str]) -> Sender:
    """Return a publisher as its registration has it: type "*" = any, no sources = its own name."""
    allowed = frozenset(types)
    return Sender(name, None if "*" in allowed else allowed, frozenset(sources) or frozenset((name,)))


@dataclass(frozen=True, slots=True)
class _Entry:
    sender: Sender | None
    until: float


class Publishers:
    """The publishers of one context."""

    def __init__(self, db: Database, projection: str, context: str) -> None:
        self.db = db
        self.context = context
        self._projection = projection
        self._entries: dict[str, _Entry] = {}
        self._waited: dict[str, float] = {}  # until when an unknown one is not waited for again

    def forget(self, publisher: str) -> None:
        """Read the publisher's permissions again at the next question."""
        self._entries.pop(publisher, None)

    async def find(self, publisher: str) -> Sender | None:
        """Return what the publisher may send; None: unknown, revoked, or a publisher of other contexts."""
        entry = self._entries.get(publisher)
        if entry is None or entry.until < monotonic():
            async with reading(self.db, self._projection) as (conn, _):
                row = await conn.fetchrow("SELECT * FROM publisher WHERE publisher = $1", publisher)
            found = None
            if row is not None and not row["revoked"] and self.context in row["contexts"]:
                found = sender(publisher, row["types"], row["sources"])
            entry = self._entries[publisher] = _Entry(found, monotonic() + BELIEVED)
        return entry.sender

    async def admit(self, publisher: str) -> Sender:
        """Return what the publisher may send, waiting a moment for one that is new. Refusal `unknown_publisher`."""
        deadline = monotonic() + KNOWN_WITHIN if self._waited.get(publisher, 0) < monotonic() else 0
        while True:
            found = await self.find(publisher)
            if found is not None:
                self._waited.pop(publisher, None)
                return found
            if monotonic() > deadline:
                if deadline:
                    self._waited = {publisher: monotonic() + KNOWN_WITHIN}
                raise Refusal("unknown_publisher", f"{publisher} may not publish here", status=403)
            await asyncio.sleep(0.2)
            self.forget(publisher)
