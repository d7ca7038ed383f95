"""The relay: publishes each commit's stored bytes so that stream sequence = commit number, always.

One leader a ledger (advisory lock) for efficiency; what makes it safe is the expected-sequence header. There is no
outbox state: the stream's last sequence says where to go on, so a lost tail or a lost volume is filled by itself.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import deque
from typing import Any

import asyncpg
from nats.aio.client import Client
from nats.js.api import Header
from nats.js.errors import APIError

from contracts.subjects import stream_subject
from services.kernel.broker import BROKEN, Publishing, ensure_stream, last_sequence
from services.kernel.codec import Commit, to_headers
from services.kernel.errors import Unavailable
from services.kernel.guard import compare
from services.kernel.ledger import Ledger
from services.kernel.tasks import end

log = logging.getLogger("opsledger.kernel")

EXPECTED = Header.EXPECTED_LAST_SEQUENCE.value  # what makes a doubled or shifted commit impossible
WINDOW = 256  # commits in flight; every acknowledgement is read and compared
WINDOW_BYTES = 16 * 1024 * 1024
ACK_TIMEOUT = 10.0
HEADROOM = 64 * 1024  # bytes of headers and protocol around a body
POLL = 1.0  # seconds between looks at the ledger; a commit wakes at once, here and by NOTIFY elsewhere
IDLE_LOOK = 3.0  # seconds between looks at an idle stream, so that a lost tail is noticed


WRONG_SEQUENCE = frozenset((10071, 10164))  # another message stands where this one was to go

PENDING = """
SELECT * FROM (
    SELECT c.*, h.ledger_id, h.epoch, sum(length(c.body)) OVER (ORDER BY c.number) AS total
    FROM ledger_commit c JOIN ledger_head h USING (ledger)
    WHERE c.ledger = $1 AND c.number > $2 AND c.number <= $2 + $3
) AS page WHERE total <= $4 OR number = $2 + 1 ORDER BY number
"""


class OutOfStep(Exception):
    """The stream is not where the relay believed; it looks again."""


class Relay:
    """Carries one ledger to its stream, and guards the ledger against a stream that does not fit."""

    def __init__(self, ledger: Ledger, name: str, nc: Client, replicas: int = 1) -> None:
        self.ledger = ledger
        self.name = name
        self.nc = nc
        self.replicas = replicas
        self._js = Publishing(nc, timeout=ACK_TIMEOUT, publish_async_max_pending=WINDOW + 1)
        self.sent = 0  # last sequence known to be in the stream
        self.healthy = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lock: asyncpg.Connection | None = None
        self._epoch = 1
        ledger.refusals[name] = Unavailable("ledger_not_yet_compared", f"{name}: not yet compared with its stream")
        ledger.on_commit(self._committed)

    def _committed(self, positions: dict[str, int]) -> None:
        if self.name in positions:
            self._wake.set()

    async def start(self) -> None:
        """Begin; the first comparison decides whether appends are allowed."""
        self._task = asyncio.create_task(self._run(), name=f"relay-{self.name}")

    async def stop(self) -> None:
        """Stop; what is not relayed yet is relayed after the next start."""
        await end(self._task)
        await self._unlock()

    async def _run(self) -> None:
        pause, sent = 0.05, -1
        while True:
            if self.sent != sent:  # it has come further since the last trouble
                pause, sent = 0.05, self.sent
            try:
                await self._look()
                await self._follow()
            except OutOfStep as reason:
                log.warning("relay_out_of_step", extra={"ledger": self.name, "reason": str(reason)})
                await asyncio.sleep(0.02)
            except BROKEN as error:
                self.healthy = False
                log.warning("relay_interrupted", extra={"ledger": self.name, "error": repr(error)})
                await self._unlock()  # another process may have better luck
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
            except Exception:  # whatever it is: a relay that ends would leave the stream behind for ever
                self.healthy = False
                log.exception("relay_failed", extra={"ledger": self.name})
                await asyncio.sleep(2.0)

    async def _look(self) -> None:
        """Compare ledger and stream; set or lift the refusal; find where to go on."""
        if self.nc.max_payload < self.ledger.limit + HEADROOM:
            await self._refuse(
                Unavailable(
                    "broker_limit_too_small",
                    f"the broker takes {self.nc.max_payload} bytes, a commit may have {self.ledger.limit}",
                    remedy="Raise the broker's max_payload, or lower OPSLEDGER_COMMIT_LIMIT_BYTES.",
                )
            )
        doubts = self.ledger.doubts
        async with self.ledger.db.conn() as conn:
            self._epoch = int(await conn.fetchval("SELECT epoch FROM ledger_head WHERE ledger = $1", self.name))
        comparison = await compare(self.ledger.db, self.nc, self.name)
        refusal = comparison.refusal()
        if refusal is not None:
            await self._refuse(refusal)
        if comparison.epoch != self._epoch:
            raise OutOfStep("a new epoch has begun")
        if not comparison.stream and await self._make_stream():
            raise OutOfStep("the stream was made anew")
        if doubts != self.ledger.doubts:
            raise OutOfStep("the database has restarted")
        self.ledger.refusals.pop(self.name, None)
        self.sent = comparison.stream

    async def _make_stream(self) -> int:
        """Create the stream that is missing; return its last sequence, which is not 0 where it begins later than at 1.

        Where it begins is read only now: whoever drops a stream to have it begin elsewhere says so before.
        """
        async with self.ledger.db.conn() as conn:
            first = int(await conn.fetchval("SELECT first_seq FROM ledger_head WHERE ledger = $1", self.name))
        return await ensure_stream(self.nc, self.name, self._epoch, self.replicas, first)

    async def _refuse(self, refusal: Unavailable) -> None:
        """Let nothing be appended, and look again in a while."""
        if self.ledger.refusals.get(self.name, refusal).code != refusal.code or self.healthy:
            log.error("ledger_refused", extra={"ledger": self.name, "code": refusal.code, "detail": refusal.detail})
        self.ledger.refusals[self.name] = refusal
        self.healthy = False
        await asyncio.sleep(1.0)
        raise OutOfStep(refusal.code)

    async def _follow(self) -> None:
        """Publish what the ledger has beyond the stream, for as long as the two keep in step."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            self._wake.clear()
            if self.name in self.ledger.refusals:
                raise OutOfStep("the database has restarted")
            published = await self._leading() and await self._publish_pending()
            self.healthy = True
            if published:
                looked = loop.time()
                continue
            try:
                async with asyncio.timeout(POLL):
                    await self._wake.wait()
            except TimeoutError:
                if loop.time() - looked > IDLE_LOOK:
                    looked = loop.time()
                    if await last_sequence(self.nc, self.name, self._epoch) != self.sent or self._lock is None:
                        await self._look()

    async def _publish_pending(self) -> bool:
        """Publish one window; return whether there was anything to publish."""
        async with self.ledger.db.conn() as conn:
            rows = await conn.fetch(PENDING, self.name, self.sent, WINDOW, WINDOW_BYTES)
        if not rows:
            return False
        if rows[0]["epoch"] != self._epoch:
            raise OutOfStep("a new epoch has begun")
        flight: deque[tuple[int, asyncio.Future[Any]]] = deque()
        try:
            for row in rows:
                commit = commit_of(row)
                by_reference = len(commit.body) > self.ledger.limit
                headers = to_headers(commit, by_reference=by_reference)
                headers[EXPECTED] = str(commit.number - 1)
                body = b"" if by_reference else commit.body
                subject = stream_subject(self.name, self._epoch)
                flight.append((commit.number, await self._js.publish_async(subject, body, headers=headers)))
            await self._drain(flight)
        except APIError as error:
            if error.err_code not in WRONG_SEQUENCE:
                raise  # the stream takes nothing: its disk is full, or it has no leader
            raise OutOfStep(f"{error.err_code} {error.description}") from error
        finally:
            for _, future in flight:
                if not future.cancel() and not future.cancelled():
                    future.exception()  # heard already through the first that failed
        return True

    async def _drain(self, flight: deque[tuple[int, asyncio.Future[Any]]]) -> None:
        async with asyncio.timeout(ACK_TIMEOUT):
            while flight:
                number, future = flight[0]
                ack = await future
                flight.popleft()
                if ack.seq != number:
                    raise OutOfStep(f"commit {number} was stored as sequence {ack.seq}")
                self.sent = number

    async def _leading(self) -> bool:
        """Whether this process carries the ledger; tries to take the lock over where it does not."""
        if self._lock is not None and not self._lock.is_closed():
            return True
        await self._unlock()
        lock = await self.ledger.db.dedicated()
        if await lock.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCK_CLASS, lock_key(self.name)):
            self._lock = lock
            await lock.add_listener("ledger", lambda *_: self._wake.set())
            raise OutOfStep("taken over")  # look again: the former leader may have published meanwhile
        await lock.close()
        return False

    async def _unlock(self) -> None:
        if self._lock is not None:
            lock, self._lock = self._lock, None
            try:
                await lock.close(timeout=2)
            except BROKEN:
                lock.terminate()


LOCK_CLASS = 0x6F70  # advisory locks of relays


def lock_key(name: str) -> int:
    """Return the 31-bit advisory key of a name."""
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def commit_of(row: Any) -> Commit:
    """Return the commit of a ledger_commit row joined with its head's ledger_id and epoch."""
    return Commit(
        row["ledger"], row["ledger_id"], row["epoch"], row["number"], row["previous"], row["hash"], row["meta"],
        row["encoding"], row["body"],
    )  # fmt: skip
