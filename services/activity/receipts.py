"""The second receipt of a held event, when its hold ends: a to-do of the transaction that ended it."""

from __future__ import annotations

from typing import Any

from services.activity.store import RECEIPT
from services.kernel.database import Database
from services.kernel.outcomes import ReceiptBody, Result
from services.kernel.reaction import TodoWorker
from services.kernel.receipts import Receipts


class SecondReceipts:
    """Tells publishers how holds of theirs ended."""

    def __init__(self, db: Database, receipts: Receipts) -> None:
        self.db = db
        self.receipts = receipts
        self._worker = TodoWorker(db, RECEIPT, self._second, parallel=16)

    async def start(self) -> None:
        await self._worker.start()

    async def stop(self) -> None:
        await self._worker.stop()

    async def _second(self, key: str, payload: dict[str, Any]) -> None:
        async with self.db.conn() as conn:
            row = await conn.fetchrow(
                "SELECT a.source, a.id, c.ledger, c.number FROM activity a"
                " LEFT JOIN ledger_commit c ON c.ref = coalesce(a.recorded_ref, a.voided_ref) WHERE a.key = $1",
                bytes.fromhex(key),
            )
        if row is None:
            return
        commit = f"{row['ledger']}:{row['number']}" if row["ledger"] else None
        code = "after_hold" if payload["how"] == "recorded" else payload["how"]
        result = Result(0, row["source"], row["id"], "recorded", code, commit=commit)
        await self.receipts.publish([(payload["publisher"], ReceiptBody(payload["message"], [result]))])
