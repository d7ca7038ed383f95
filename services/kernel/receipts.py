"""Receipts: what became of an inbox message, on a durable stream of the publisher's own, at least once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from contracts.subjects import RECEIPTS_STREAM, RECEIPTS_SUBJECTS, inbox_stream, inbox_subject, receipt_subject
from services.kernel.broker import Publishing
from services.kernel.outcomes import ReceiptBody, encode

log = logging.getLogger("opsledger.kernel")

IN_FLIGHT = 1000  # receipts sent and not yet acknowledged
ACK_SECONDS = 10.0
RECEIPTS_KEPT = 30 * 24 * 3600.0
PERSONAL_KEPT = 7 * 24 * 3600.0  # in an inbox that nobody reads
WAITING_A_PUBLISHER = 1_000_000
BROKEN = (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError)


async def ensure_streams(nc: Client, context: str, *, personal: bool = False) -> None:
    """Create the context's inbox and the receipts stream where they are missing.

    An inbox with other subjects is brought up to date: before contexts had streams of their own there was one for all.
    """
    js = nc.jetstream(timeout=ACK_SECONDS)
    inbox = StreamConfig(
        name=inbox_stream(context), subjects=[inbox_subject("*", context)], retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE, max_msgs_per_subject=WAITING_A_PUBLISHER, discard=DiscardPolicy.NEW,
        discard_new_per_subject=True, max_age=PERSONAL_KEPT if personal else 0,
    )  # fmt: skip
    receipts = StreamConfig(
        name=RECEIPTS_STREAM, subjects=[RECEIPTS_SUBJECTS], retention=RetentionPolicy.LIMITS, storage=StorageType.FILE,
        max_age=RECEIPTS_KEPT,
    )  # fmt: skip
    for config in (inbox, receipts):
        try:
            found = (await js.stream_info(str(config.name))).config
            if found.subjects != config.subjects:
                await js.update_stream(found.evolve(subjects=config.subjects))
        except nats.js.errors.NotFoundError:
            await js.add_stream(config)
            log.info("stream_created", extra={"stream": config.name})


class Receipts:
    """Publishes one context's receipts and reads every acknowledgement."""

    def __init__(self, nc: Client, context: str) -> None:
        self.nc = nc
        self.context = context
        self._js = Publishing(nc, timeout=ACK_SECONDS, publish_async_max_pending=IN_FLIGHT)

    async def publish(self, receipts: Sequence[tuple[str, ReceiptBody]]) -> None:
        """Publish (publisher, receipt) pairs; returns when the broker has all of them. Raises BROKEN errors."""
        futures = []
        for publisher, receipt in receipts:
            subject = receipt_subject(publisher, self.context)
            futures.append(await self._js.publish_async(subject, encode(receipt), wait_stall=ACK_SECONDS))
        async with asyncio.timeout(ACK_SECONDS):
            await asyncio.gather(*futures)
