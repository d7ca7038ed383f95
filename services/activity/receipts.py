"""Receipts: what became of an inbox message, on a durable stream of the publisher's own, at least once.

A held event gets a second receipt when its hold ends; that one is a to-do of the transaction that ended it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from contracts.subjects import INBOX_STREAM, INBOX_SUBJECTS, RECEIPTS_STREAM, RECEIPTS_SUBJECTS, receipt_subject
from services.activity.decision import Result
from services.activity.store import RECEIPT
from services.kernel.broker import Publishing
from services.kernel.database import Database
from services.kernel.reaction import TodoWorker

log = logging.getLogger("opsledger.activity")

IN_FLIGHT = 1000  # receipts sent and not yet acknowledged
ACK_SECONDS = 10.0
RECEIPTS_KEPT = 30 * 24 * 3600.0
WAITING_A_PUBLISHER = 1_000_000
BROKEN = (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError)

_encode = msgspec.json.Encoder().encode


class ReceiptBody(msgspec.Struct):
    """contracts.activity.Receipt"""

    message: str
    results: list[Result]


async def ensure_streams(nc: Client) -> None:
    """Create the inbox and the receipts stream where they are missing."""
    js = nc.jetstream(timeout=ACK_SECONDS)
    inbox = StreamConfig(
        name=INBOX_STREAM, subjects=[INBOX_SUBJECTS], retention=RetentionPolicy.WORK_QUEUE, storage=StorageType.FILE,
        max_msgs_per_subject=WAITING_A_PUBLISHER, discard=DiscardPolicy.NEW, discard_new_per_subject=True,
    )  # fmt: skip
    receipts = StreamConfig(
        name=RECEIPTS_STREAM, subjects=[RECEIPTS_SUBJECTS], retention=RetentionPolicy.LIMITS, storage=StorageType.FILE,
        max_age=RECEIPTS_KEPT,
    )  # fmt: skip
    for config in (inbox, receipts):
        try:
            await js.stream_info(str(config.name))
        except nats.js.errors.NotFoundError:
            await js.add_stream(config)
            log.info("stream_created", extra={"stream": config.name})


class Receipts:
    """Publishes receipts and reads every acknowledgement."""

    def __init__(self, db: Database, nc: Client) -> None:
        self.db = db
        self.nc = nc
        self._js = Publishing(nc, timeout=ACK_SECONDS, publish_async_max_pending=IN_FLIGHT)
        self._worker = TodoWorker(db, RECEIPT, self._second, parallel=16)

    async def start(self) -> None:
        await self._worker.start()

    async def stop(self) -> None:
        await self._worker.stop()

    async def publish(self, receipts: Sequence[tuple[str, ReceiptBody]]) -> None:
        """Publish (publisher, receipt) pairs; returns when the broker has all of them. Raises BROKEN errors."""
        futures = []
        for publisher, receipt in receipts:
            subject = receipt_subject(publisher, "activity")
            futures.append(await self._js.publish_async(subject, _encode(receipt), wait_stall=ACK_SECONDS))
        async with asyncio.timeout(ACK_SECONDS):
            await asyncio.gather(*futures)

    async def _second(self, key: str, payload: dict[str, Any]) -> None:
        """Tell the publisher how a hold of its ended."""
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
        await self.publish([(payload["publisher"], ReceiptBody(payload["message"], [result]))])
