"""The projector: reads ledgers and applies them to one version of a projection, many commits a transaction.

Every effect is exactly once: rows and checkpoint move together, and only from the checkpoint that was read. A commit
that does not continue the chain is never applied and never skipped. What cannot be applied is held, with its reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import msgspec

from contracts.envelope import genesis_hash
from services.kernel.broker import BROKEN
from services.kernel.clock import now
from services.kernel.codec import Commit
from services.kernel.database import Connection, Database
from services.kernel.poison import apply_or_hold
from services.kernel.projection import Checkpoint, Projection, read_checkpoint, register, schema_of, set_path
from services.kernel.reader import StreamReader
from services.kernel.relay import lock_key
from services.kernel.tasks import end

log = logging.getLogger("opsledger.kernel")

LOCK_CLASS = 0x7071  # advisory locks of projectors
BATCH = 128  # commits a transaction at most
SHARE_OF = 1000  # commits before the checkpoint among which holds are counted
SHARE = 20  # the one in so many that may be held; so many are allowed in any case
Reader = Callable[[str], StreamReader]


StartOver = Callable[[Database, Projection, Reader], Awaitable[object]]


async def _cannot_start_over(db: Database, projection: Projection, reader: Reader) -> object:
    raise RuntimeError(f"{projection.name}: nobody has said how to fold a new epoch")


class StaleCheckpoint(Exception):
    """Another projector has moved the checkpoint: read it again."""


class TooManyHolds(Exception):
    """More than the stated share cannot be applied: not the events are wrong but whoever reads them."""


class Forked(Exception):
    """The ledger goes on from another commit than the one that was folded."""


class Projector:
    """Keeps the live version of a projection up to date, one task a ledger; each ledger has one leader at a time."""

    def __init__(
        self, db: Database, projection: Projection, reader: Reader, *, batch: int = BATCH, live: bool = True
    ) -> None:
        self.db = db
        self.live = live
        self.projection = projection
        self.applied: dict[str, int] = {}
        self.epochs: dict[str, int] = {}  # of what is applied
        self.heads: dict[str, int] = {}
        self.leads: set[str] = set()  # the ledgers that this process applies
        self.alarms: dict[str, str] = {}  # ledger -> why it stands still
        self.start_over: StartOver = _cannot_start_over
        self._reader = reader
        self._batch = batch
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[Callable[[str, Sequence[Commit]], None]] = []

    async def start(self) -> None:
        """Register the projection and follow its ledgers."""
        await register(self.db, self.projection)
        for ledger in self.projection.ledgers:
            name = f"projector-{self.projection.name}-{ledger}"
            self._tasks.append(asyncio.create_task(self._run(ledger), name=name))

    async def stop(self) -> None:
        """Stop between two transactions."""
        await end(*self._tasks)
        self._tasks.clear()

    def on_applied(self, listener: Callable[[str, Sequence[Commit]], None]) -> None:
        """Call `listener(ledger, commits)` after each transaction of this process that committed."""
        self._listeners.append(listener)

    async def watch_heads(self, head: Callable[[str], Awaitable[int]], every: float = 5.0) -> None:
        """Ask the ledgers' owners how far they are, for ever: lag is measured against the ledger, not the stream."""
        while True:
            for ledger in self.projection.ledgers:
                try:
                    self.heads[ledger] = max(self.heads.get(ledger, 0), await head(ledger))
                except (OSError, KeyError) as error:
                    log.debug("head_unknown", extra={"ledger": ledger, "error": repr(error)})
            await asyncio.sleep(every)

    @property
    def lag(self) -> dict[str, int]:
        """Ledger -> commits known to exist and not yet folded."""
        return {ledger: max(0, self.heads.get(ledger, 0) - number) for ledger, number in self.applied.items()}

    async def _run(self, ledger: str) -> None:
        pause = 0.05
        while True:
            reader = self._reader(ledger)
            lock: asyncpg.Connection | None = None
            try:
                lock = await self._lead(ledger)
                if lock is None:
                    await self._observe(ledger)
                    continue
                self.projection.forget()
                self.leads.add(ledger)
                await self._follow(ledger, reader, lock)
            except StaleCheckpoint:
                log.info("checkpoint_moved", extra={"projection": self.projection.name, "ledger": ledger})
            except Forked as reason:
                await self._forked_or_interrupted(ledger, reader, str(reason))
            except BROKEN as error:
                log.warning("projector_interrupted", extra={"projection": self.projection.name, "error": repr(error)})
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
            except Exception as error:  # a bug: say so, stand still for a while, never skip
                log.exception("projector_failed", extra={"projection": self.projection.name})
                await self._alarm(ledger, repr(error))
            else:
                pause = 0.05
            finally:
                self.leads.discard(ledger)
                await reader.close()
                if lock is not None:
                    lock.terminate()

    async def _lead(self, ledger: str) -> asyncpg.Connection | None:
        lock = await self.db.dedicated()
        key = lock_key(f"{self.projection.name} {ledger}")
        if await lock.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCK_CLASS, key):
            return lock
        await lock.close()
        return None

    async def _observe(self, ledger: str) -> None:
        """Another process leads: note how far it is, and try again in a while."""
        async with self.db.conn() as conn:
            self._note((await self._checkpoint(conn, ledger))[1])
        await asyncio.sleep(0.5)

    def _note(self, checkpoint: Checkpoint) -> None:
        self.applied[checkpoint.ledger] = checkpoint.number
        self.epochs[checkpoint.ledger] = checkpoint.epoch

    async def _alarm(self, ledger: str, reason: str) -> None:
        if self.alarms.get(ledger) != reason:
            log.error("projection_stopped", extra={"projection": self.projection.name, "reason": reason})
        self.alarms[ledger] = reason
        await asyncio.sleep(2.0)

    async def _forked_or_interrupted(self, ledger: str, reader: StreamReader, reason: str) -> None:
        try:
            await self._forked(ledger, reader, reason)
        except Exception as error:  # broker or database went away meanwhile; it is looked at again
            await self._alarm(ledger, f"forked: {reason}; not settled: {error!r}")

    async def _forked(self, ledger: str, reader: StreamReader, reason: str) -> None:
        """A new epoch of the ledger is folded anew from its beginning; any other fork stands still with an alarm."""
        async with self.db.conn() as conn:
            checkpoint = (await self._checkpoint(conn, ledger))[1]
        epoch = await reader.epoch()
        if epoch is None or epoch <= checkpoint.epoch:
            await self._alarm(ledger, f"forked: {reason}")
            return
        log.error("projection_starts_over", extra={"projection": self.projection.name, "reason": reason})
        await self.start_over(self.db, self.projection, self._reader)

    async def _checkpoint(self, conn: Connection, ledger: str) -> tuple[int, Checkpoint]:
        name = self.projection.name
        version = int(await conn.fetchval("SELECT live_version FROM projection WHERE name = $1", name))
        return version, await read_checkpoint(conn, name, version, ledger)

    async def _follow(self, ledger: str, reader: StreamReader, lock: asyncpg.Connection) -> None:
        async with self.db.conn() as conn:
            version, checkpoint = await self._checkpoint(conn, ledger)
        if await reader.forked_below(checkpoint):
            raise Forked(f"epoch {checkpoint.epoch} ended before {ledger}:{checkpoint.number}")
        await reader.seek(checkpoint.number)
        self._note(checkpoint)
        while not lock.is_closed():
            commits = await reader.take(self._batch, 1.0)
            self.heads[ledger] = max(reader.head, self.applied[ledger], self.heads.get(ledger, 0))
            if not commits:
                if await self._live_version() != version or await reader.epoch_is_over():
                    return
                if reader.is_open:
                    self.alarms.pop(ledger, None)
                continue
            checkpoint = await self.flush(version, checkpoint, commits)
            self._note(checkpoint)
            self.alarms.pop(ledger, None)
            for listener in self._listeners:
                listener(ledger, commits)

    async def _live_version(self) -> int:
        async with self.db.conn() as conn:
            name = self.projection.name
            return int(await conn.fetchval("SELECT live_version FROM projection WHERE name = $1", name))

    async def flush(self, version: int, checkpoint: Checkpoint, commits: Sequence[Commit]) -> Checkpoint:
        """Apply commits that continue the checkpoint; return the checkpoint after them."""
        check_chain(checkpoint, commits)
        last = commits[-1]
        try:
            async with self.db.tx() as conn:
                await self._move(conn, version, checkpoint, commits)
                await set_path(conn, [schema_of(self.projection.name, version)])
                if await apply_or_hold(conn, self.projection, version, commits):
                    await self._refuse_too_many(conn, version, last)
        except BaseException:
            self.projection.forget()
            raise
        return Checkpoint(last.ledger, last.ledger_id, last.epoch, last.number, last.hash)

    async def _move(self, conn: Connection, version: int, old: Checkpoint, commits: Sequence[Commit]) -> None:
        """Move the checkpoint by compare-and-set, in the transaction of the rows.

        The shared lock on the registry row keeps a switch of versions from happening in between.
        """
        last = commits[-1]
        if self.live:
            live = await conn.fetchval(
                "SELECT live_version FROM projection WHERE name = $1 FOR SHARE", self.projection.name
            )
            if live != version:
                raise StaleCheckpoint(f"{self.projection.name}: version {live} is live, not {version}")
        rests: dict[str, tuple[int, int]] = {}  # the latest epoch and the greatest number in it
        for commit in commits:
            meta = commit.metadata()
            for ledger, number in (meta.get("rests_on") or {}).items():
                at = ((meta.get("rests_on_epochs") or {}).get(ledger, 1), number)
                rests[ledger] = max(at, rests.get(ledger, at))
        moved = await conn.fetchval(
            "UPDATE checkpoint SET number = $5, hash = $6, ledger_id = $7, epoch = $8, applied_at = $9,"
            " rests_on = rests_on || (SELECT coalesce(jsonb_object_agg(key, greatest(value, rests_on -> key)), '{}')"
            " FROM jsonb_each($10::text::jsonb))"
            " WHERE projection = $1 AND version = $2 AND ledger = $3 AND number = $4"
            " AND hash IS NOT DISTINCT FROM $11 RETURNING true",
            self.projection.name, version, last.ledger, old.number, last.number, last.hash, last.ledger_id, last.epoch,
            now(), msgspec.json.encode(rests).decode(), old.hash,
        )  # fmt: skip
        if not moved:
            raise StaleCheckpoint(f"{self.projection.name} {last.ledger}:{old.number}")

    async def _refuse_too_many(self, conn: Connection, version: int, last: Commit) -> None:
        """Undo the flush, so that the projection stands still where it is, when too many recent commits are held."""
        bad = await conn.fetchval(
            "SELECT count(DISTINCT number) FROM public.hold"
            " WHERE projection = $1 AND version = $2 AND ledger = $3 AND number > $4",
            self.projection.name, version, last.ledger, last.number - SHARE_OF,
        )  # fmt: skip
        if bad > max(SHARE, SHARE_OF // SHARE if last.number > SHARE_OF else last.number // SHARE):
            raise TooManyHolds(f"{bad} of the last {SHARE_OF} commits cannot be applied: the code has to be mended")


def check_chain(checkpoint: Checkpoint, commits: Sequence[Commit]) -> None:
    """Raise Forked unless the commits continue the checkpoint, number by number and hash by hash."""
    first = commits[0]
    previous = checkpoint.hash or genesis_hash(first.ledger_id)
    number = checkpoint.number
    if checkpoint.ledger_id not in (None, first.ledger_id):
        raise Forked(f"{first.ledger} is now {first.ledger_id}, was {checkpoint.ledger_id}")
    for commit in commits:
        if commit.number != number + 1 or commit.previous != previous:
            raise Forked(f"{commit.position} does not continue {number}")
        if not commit.is_intact():
            raise Forked(f"{commit.position} is not what its hash says")
        number, previous = commit.number, commit.hash
