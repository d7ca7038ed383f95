"""Reads a ledger's stream in order from a number on. Position lives with the reader's rows, never in the broker.

A pull consumer without acknowledgements, with requests kept ahead; every commit handed out is the next one: what the
stream no longer holds, or carries by reference, is fetched from the owner. Must not skip anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.subjects import stream_name
from services.kernel.broker import current_epoch, last_sequence, read_message, stream_state
from services.kernel.codec import Commit, from_message
from services.kernel.projection import Checkpoint

log = logging.getLogger("opsledger.kernel")

Fetch = Callable[[str, int, int], Awaitable[list[Commit]]]  # (ledger, after, limit) -> commits of the owner

AHEAD = 512  # messages asked for beyond what has been taken
AHEAD_BYTES = 32 * 1024 * 1024
EXPIRES = 5.0  # seconds a request for messages stands
FETCH = 200  # commits asked of the owner at once
TAKE_BYTES = 32 * 1024 * 1024  # of stored bodies handed out at once
EPOCH_LOOK = 5.0  # seconds between looks for a later epoch while nothing arrives
SILENCE = 8.0  # seconds without any word from the broker after which the consumer is made anew


class StreamReader:
    """Commits of one ledger, in order. Not safe for concurrent use."""

    def __init__(self, nc: Client, ledger: str, fetch: Fetch | None = None) -> None:
        self.nc = nc
        self.ledger = ledger
        self.fetch = fetch
        self.head = 0  # the furthest number heard of
        self._next = 1
        self._epoch: int | None = None
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._asked = 0  # messages asked for and not yet received
        self._bytes = 0  # received and not yet taken
        self._heard = 0.0
        self._looked = 0.0
        self._inbox = ""
        self._before = 0  # commits from the next one on that lie before the stream's beginning
        self._opened = 0  # what arrives for an earlier consumer is ignored

    async def seek(self, number: int) -> None:
        """Go on with commit `number` + 1."""
        await self.close()
        self._next = number + 1

    async def epoch(self) -> int | None:
        """Return the ledger's epoch in force, None where it has no stream yet."""
        return await current_epoch(self.nc, self.ledger)

    @property
    def is_open(self) -> bool:
        """Whether it stands at the stream, so that silence means that there is nothing more."""
        return self._subscription is not None

    async def epoch_is_over(self) -> bool:
        """Whether the ledger goes on in a later epoch's stream; asked only every few seconds."""
        now = asyncio.get_running_loop().time()
        if self._epoch is None or now - self._looked < EPOCH_LOOK:
            return False
        self._looked = now
        epoch = await self.epoch()
        return epoch is not None and epoch > self._epoch

    async def forked_below(self, checkpoint: Checkpoint) -> bool:
        """Whether a later epoch of the ledger has another commit, or none, where the checkpoint stands."""
        epoch = await self.epoch()
        if epoch is None or epoch <= checkpoint.epoch or checkpoint.number == 0:
            return False
        if (await last_sequence(self.nc, self.ledger, epoch) or 0) >= checkpoint.number:
            there, _ = await read_message(self.nc, self.ledger, epoch, checkpoint.number)
            if there is not None:
                return there.hash != checkpoint.hash
        commits = await self.fetch(self.ledger, checkpoint.number - 1, 1) if self.fetch is not None else []
        return not commits or commits[0].hash != checkpoint.hash

    async def close(self) -> None:
        """Drop the consumer; the broker forgets it by itself when it is gone."""
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            try:
                await subscription.unsubscribe()
            except Exception as error:  # the connection may be gone, and with it the subscription
                log.debug("unsubscribe_failed", extra={"error": repr(error)})
        self._queue = asyncio.Queue()
        self._asked = self._bytes = 0

    async def take(self, limit: int, timeout: float) -> list[Commit]:
        """Return the next commits (at least one, at most `limit`), or none after `timeout` seconds.

        Raises broker errors; the caller seeks and goes on.
        """
        if self._subscription is None and not await self._open():
            if self._before:
                return await self._from_owner(min(self._before, FETCH))
            await asyncio.sleep(min(timeout, 0.2))
            return []
        await self._ask()
        commits: list[Commit] = []
        try:
            async with asyncio.timeout(timeout):
                message = await self._queue.get()
        except TimeoutError:
            if asyncio.get_running_loop().time() - self._heard > SILENCE:
                await self.close()
            return []
        size = 0
        while True:
            self._bytes -= len(message.data)
            accepted = await self._accept(message)
            commits += accepted
            size += sum(len(commit.body) for commit in accepted)
            if not accepted or len(commits) >= limit or size >= TAKE_BYTES or self._queue.empty():
                return commits
            message = self._queue.get_nowait()

    async def _open(self) -> bool:
        """Make a consumer at the next number. False: no stream, or it begins `_before` commits later than that."""
        self._before = 0
        self._epoch = await current_epoch(self.nc, self.ledger)
        if self._epoch is None:
            return False
        state = await stream_state(self.nc, self.ledger, self._epoch)
        self.head = state.last_seq if state is not None else 0
        self._before = max(0, state.first_seq - self._next) if state is not None else 0
        if self._before:
            return False
        if self._next > self.head + 1:  # the stream has lost its tail; the relay is about to fill it again
            return False
        inbox = self.nc.new_inbox()
        self._opened += 1
        self._subscription = await self.nc.subscribe(inbox, cb=partial(self._receive, self._opened))
        self._subscription._pending_bytes_limit = AHEAD_BYTES * 4
        info = await self.nc.jetstream().add_consumer(
            stream_name(self.ledger, self._epoch),
            ConsumerConfig(
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._next,
                inactive_threshold=30.0,
                mem_storage=True,
                num_replicas=1,
                max_waiting=16,
            ),
        )
        self._consumer = info.name
        self._inbox = inbox
        self._heard = asyncio.get_running_loop().time()
        return True

    async def _ask(self) -> None:
        """Keep up to AHEAD messages asked for or waiting here."""
        room = AHEAD - self._asked - self._queue.qsize()
        if room < AHEAD // 2 or self._bytes > AHEAD_BYTES // 2 or self._epoch is None:
            return
        request = {"batch": room, "max_bytes": AHEAD_BYTES, "expires": int(EXPIRES * 1e9), "idle_heartbeat": int(2e9)}
        self._asked += room
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream_name(self.ledger, self._epoch)}.{self._consumer}"
        await self.nc.publish(subject, json.dumps(request).encode(), reply=self._inbox)

    async def _receive(self, opened: int, message: Msg) -> None:
        if opened != self._opened:
            return
        self._heard = asyncio.get_running_loop().time()
        status = (message.headers or {}).get("Status")
        if status is None:
            self._asked -= 1
            self._bytes += len(message.data)
            self._queue.put_nowait(message)
        elif status in ("408", "409", "404"):
            headers = message.headers or {}
            pending = int(headers.get("Nats-Pending-Messages", AHEAD))
            self._asked = max(0, self._asked - pending)
            if status == "409" and "Deleted" in headers.get("Description", ""):
                await self.close()
            elif self._subscription is not None:
                await self._ask()
        elif status == "503":
            await self.close()

    async def _accept(self, message: Msg) -> list[Commit]:
        """Return the message's commit if it is the next one; otherwise start over where it is missing."""
        sequence, behind = _stamp(message)
        self.head = max(self.head, sequence + behind)
        if sequence < self._next:
            return []
        if sequence > self._next:
            log.warning("stream_gap", extra={"ledger": self.ledger, "expected": self._next, "got": sequence})
            return await self._from_owner(min(sequence - self._next, FETCH))
        try:
            commit, by_reference = from_message(dict(message.headers or {}), message.data)
        except (KeyError, ValueError):
            log.error("foreign_message", extra={"ledger": self.ledger, "sequence": sequence})
            return await self._from_owner(1)
        if by_reference:
            return await self._from_owner(1, keep=True)
        self._next += 1
        return [commit]

    async def _from_owner(self, count: int, *, keep: bool = False) -> list[Commit]:
        """Fetch the next commits from the ledger's owner; afterwards read the stream anew, unless `keep`."""
        commits = await self.fetch(self.ledger, self._next - 1, count) if self.fetch is not None else []
        if not keep or not commits:
            await self.close()
        expected = range(self._next, self._next + len(commits))
        if [commit.number for commit in commits] != list(expected):
            raise OSError(f"{self.ledger}: the owner answered other commits than {expected}")
        self._next += len(commits)
        return commits


def _stamp(message: Msg) -> tuple[int, int]:
    """Return (stream sequence, messages behind it) of a JetStream message's reply subject (ADR-15, both forms)."""
    parts = message.reply.split(".")
    return (int(parts[-4]), int(parts[-1])) if len(parts) == 9 else (int(parts[7]), int(parts[10]))
