"""Publishes over NATS: as a request that is answered after the commit, or into the durable inbox with receipts.

`request` = nothing acknowledged can be lost, whatever happens to the broker. `put` = acknowledged by the broker even
while the service is down; the outcome follows as a receipt, until which a careful publisher keeps its copy: `deliver`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from types import TracebackType

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.activity import IntakeAnswer, IntakeResult, Receipt
from contracts.client.batches import Batch, Event, PublishError, batches, pauses, problem
from contracts.envelope import BATCH_CONTENT_TYPE, read_as

PASSING = (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError)
CONNECT_SECONDS = 10.0


async def _heard(error: Exception) -> None:
    """Leave it to the call that fails: the library would print it."""


def _new_message() -> str:
    return secrets.token_hex(16)


class NatsPublisher:
    """`async with NatsPublisher(url, "forum-bot", token) as publisher: results = await publisher.request(events)`."""

    def __init__(
        self, url: str, publisher: str, token: str, *, context: str = "activity", batch: int = 500, attempts: int = 8
    ) -> None:
        self._url, self._publisher, self._token, self._context = url, publisher, token, context
        self._batch, self._attempts = batch, attempts
        self._client: Client | None = None

    async def __aenter__(self) -> NatsPublisher:
        try:
            self._client = await asyncio.wait_for(self._connect(), CONNECT_SECONDS)
        except PASSING as error:
            raise PublishError("unreachable", f"{self._url} as {self._publisher}: {error!r}") from error
        return self

    async def _connect(self) -> Client:
        return await nats.connect(
            self._url,
            user=self._publisher,
            password=self._token,
            inbox_prefix=f"_INBOX.{self._publisher}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            error_cb=_heard,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> Client:
        """Return the connection; made again where the server has ended it for good, as it does when admission ends."""
        if self._client is None:
            raise RuntimeError("use `async with`")
        if self._client.is_closed:
            self._client = await asyncio.wait_for(self._connect(), CONNECT_SECONDS)
        return self._client

    async def request(self, events: Iterable[Event], timeout: float = 30.0) -> list[IntakeResult]:
        """Return an outcome for each event, after its commit; repeats an unanswered batch with the same ids.

        Raises PublishError when a batch is refused as a whole or stays unanswered after all attempts.
        """
        results: list[IntakeResult] = []
        for batch in batches(events, self._batch):
            answer = await self._ask(batch, timeout)
            results += [result.model_copy(update={"index": batch.first + result.index}) for result in answer.results]
        return results

    async def _ask(self, batch: Batch, timeout: float) -> IntakeAnswer:
        subject = subjects.intake_subject(self._publisher, self._context)
        headers = {"content-type": BATCH_CONTENT_TYPE}
        failure = PublishError("unanswered", "no attempt was made")
        for pause in [*pauses(self._attempts), None]:
            try:
                link = await self._connected()
                reply = await link.request(subject, batch.body, timeout=timeout, headers=headers)
            except PASSING as error:
                failure = PublishError("unreachable", repr(error))
            else:
                try:
                    return read_as(IntakeAnswer, reply.data)
                except ValueError:
                    failure = problem(reply.data)
                if failure.status is None or (failure.status < 500 and failure.status != 429):
                    raise failure
            if pause is not None:
                await asyncio.sleep(pause)
        raise failure

    async def put(self, events: Iterable[Event]) -> list[str]:
        """Hand events to the inbox; return the message ids, acknowledged by the broker, not yet recorded.

        A message id is new for each call: an earlier one's receipt may be taken already, and would not come again.
        """
        messages = [(_new_message(), batch) for batch in batches(events, self._batch)]
        for message, batch in messages:
            await self._put(message, batch)
        return [message for message, _ in messages]

    async def _put(self, message: str, batch: Batch) -> None:
        subject = subjects.inbox_subject(self._publisher, self._context)
        headers = {"Nats-Msg-Id": message, "content-type": BATCH_CONTENT_TYPE}
        failure: Exception | None = None
        for pause in [*pauses(self._attempts), None]:
            try:
                link = await self._connected()
                await link.jetstream().publish(subject, batch.body, timeout=10, headers=headers)
                return
            except PASSING as error:
                failure = error
            if pause is not None:
                await asyncio.sleep(pause)
        raise PublishError("unreachable", repr(failure))

    async def receipts(self, timeout: float = 5.0) -> AsyncIterator[Receipt]:
        """Yield receipts, oldest first, until none has come for `timeout` seconds.

        A receipt is acknowledged when the next one is asked for: one whose handling failed comes again.
        """
        async with aclosing(self._receipt_messages(timeout)) as messages:
            async for message in messages:
                yield read_as(Receipt, message.data)
                await message.ack()

    async def _receipt_messages(self, timeout: float) -> AsyncGenerator[Msg, None]:
        # The consumer is made by the system when a publisher connects; a publisher may not make any.
        subscription = (
            await (await self._connected())
            .jetstream()
            .pull_subscribe_bind(
                consumer=self._publisher,
                stream=subjects.RECEIPTS_STREAM,
                inbox_prefix=f"_INBOX.{self._publisher}.".encode(),
            )
        )
        try:
            while True:
                try:
                    messages = await subscription.fetch(100, timeout=timeout)
                except TimeoutError:
                    return
                for message in messages:
                    yield message
        finally:
            await subscription.unsubscribe()

    async def deliver(self, events: Iterable[Event], patience: float = 10.0, rounds: int = 10) -> list[Receipt]:
        """Put events into the inbox and return their first receipts; what has none after `patience` is sent again.

        Raises PublishError when receipts are still missing after `rounds`.
        """
        kept = {_new_message(): batch for batch in batches(events, self._batch)}
        found: dict[str, Receipt] = {}
        for _ in range(rounds):
            for message, batch in kept.items():
                if message not in found:  # under the same id: the broker drops what it still has
                    await self._put(message, batch)
            try:
                await self._collect(kept, found, patience)
            except PASSING:  # the broker is away: what has no receipt is sent again
                await asyncio.sleep(min(patience, 0.5))
            if len(found) == len(kept):
                return [found[message] for message in kept]
        raise PublishError("no_receipt", f"{len(kept) - len(found)} message(s) have no receipt yet")

    async def _collect(self, kept: dict[str, Batch], found: dict[str, Receipt], patience: float) -> None:
        """Read receipts into `found` until each message has one, or none has come for `patience` seconds."""
        async with aclosing(self._receipt_messages(patience)) as arriving:
            async for one in arriving:
                receipt = read_as(Receipt, one.data)
                if receipt.message in kept:
                    found.setdefault(receipt.message, receipt)
                await one.ack()
                if len(found) == len(kept):
                    return
