"""Upkeep of the kernel's tables, from time to time in every service that decides: idempotency keys end after a while.

Must not touch a commit: what a key stood for stays in its metadata.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from services.kernel.clock import now
from services.kernel.database import TRANSIENT, Database
from services.kernel.tasks import end

log = logging.getLogger("opsledger.kernel")

EVERY = 3600.0  # seconds
BATCH = 5_000  # rows a transaction

PRUNE = "DELETE FROM command WHERE ctid = ANY(ARRAY(SELECT ctid FROM command WHERE at < $1 LIMIT $2))"


async def prune_commands(db: Database, before: datetime) -> int:
    """Forget the idempotency keys that were used before a moment, a batch a transaction; return how many."""
    pruned = 0
    while True:
        async with db.conn() as conn:
            count = int((await conn.execute(PRUNE, before, BATCH)).rpartition(" ")[2])
        pruned += count
        if count < BATCH:
            return pruned


class CommandUpkeep:
    """Prunes idempotency keys when it starts and every hour."""

    def __init__(self, db: Database, keep_days: int) -> None:
        self.db = db
        self.keep = timedelta(days=keep_days)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="command-upkeep")

    async def stop(self) -> None:
        await end(self._task)

    async def _run(self) -> None:
        while True:
            try:
                pruned = await prune_commands(self.db, now() - self.keep)
                if pruned:
                    log.info("commands_pruned", extra={"count": pruned})
            except TRANSIENT as error:
                log.warning("upkeep_interrupted", extra={"error": repr(error)})
            except Exception:  # an upkeep that ends would let the table grow for ever
                log.exception("upkeep_failed")
            await asyncio.sleep(EVERY)
