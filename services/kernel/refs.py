"""Commit references: stable handles that rows may name before the commit has its number."""

from __future__ import annotations

from services.kernel.database import Connection

REF_BLOCK = 256  # the sequence's increment: refs are handed out in blocks without asking the database again


class Refs:
    """Hands out commit references, stable handles known before the commit's number is."""

    def __init__(self) -> None:
        self._next = 0
        self._end = 0

    def forget(self) -> None:
        """Ask the database anew: one that has restarted may hand out again what was never used durably."""
        self._next = self._end = 0

    async def take(self, conn: Connection) -> int:
        if self._next >= self._end:
            self._next = int(await conn.fetchval("SELECT nextval('ledger_ref')"))
            self._end = self._next + REF_BLOCK
        self._next += 1
        return self._next - 1
