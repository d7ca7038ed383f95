"""Reads the durable inbox: a long pull with requests kept ahead, so that a single message is not waited on.

Hands out what has arrived, up to a batch; acknowledging is the caller's. Written on nats-py because FastStream's batch
pull dies of the library's bare asyncio.TimeoutError, and waits out its whole timeout for a partial batch.
"""

from __future__ import annotations

import asyncio
import json

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig

from contracts.subjects import inbox_stream, inbox_subject

AHEAD = 512  # messages asked for beyond those in work
EXPIRES = 10.0  # seconds a request stands
ACK_WAIT = 15.0
MAX_UNACKNOWLEDGED = 4096


class InboxReader:
    """Messages of inbox.*.<context>, on a stream of the context's own, shared with every process of this service."""

    def __init__(self, nc: Client, context: str) -> None:
        self.nc = nc
        self.context = context
        self.stream = inbox_stream(context)
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Subscription | None = None
        self._asked = 0
        self._inbox = ""
        self._until = 0.0

    async def open(self) -> None:
        """Make the durable consumer if it is missing, and begin to pull."""
        js = self.nc.jetstream(timeout=5)
        await js.add_consumer(
            self.stream,
            ConsumerConfig(
                durable_name=self.context,
                filter_subject=inbox_subject("*", self.context),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT,
                max_ack_pending=MAX_UNACKNOWLEDGED,
            ),
        )
        self._inbox = self.nc.new_inbox()
        self._subscription = await self.nc.subscribe(self._inbox, cb=self._receive)

    async def close(self) -> None:
        if self._subscription is not None:
            await self._subscription.unsubscribe()
            self._subscription = None

    async def take(self, limit: int) -> list[Msg]:
        """Return what has arrived, at least one message, at most `limit`; an empty list after a while of silence."""
        await self._ask()
        try:
            async with asyncio.timeout(1.0):
                messages = [await self._queue.get()]
        except TimeoutError:
            return []
        while len(messages) < limit and not self._queue.empty():
            messages.append(self._queue.get_nowait())
        return messages

    async def _ask(self) -> None:
        now = asyncio.get_running_loop().time()
        if now > self._until:  # every request has expired, also those of which nothing was heard
            self._asked = 0
        room = AHEAD - self._asked - self._queue.qsize()
        if room < AHEAD // 2:
            return
        self._asked += room
        self._until = now + EXPIRES + 1
        request = {"batch": room, "expires": int(EXPIRES * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.context}"
        await self.nc.publish(subject, json.dumps(request).encode(), reply=self._inbox)

    async def _receive(self, message: Msg) -> None:
        headers = message.headers or {}
        if "Status" not in headers or message.data:
            self._asked -= 1
            self._queue.put_nowait(message)
            return
        left = headers.get("Nats-Pending-Messages")
        self._asked = max(0, self._asked - int(left)) if left else 0
