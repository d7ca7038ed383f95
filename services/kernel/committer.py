"""Group commit: decisions that arrive together share one transaction and one fsync, each in a savepoint of its own.

While one transaction runs the next group gathers, so load sets the group's size. Must not retry a decision whose
outcome is unknown: the caller repeats the request, and its identity makes it count once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from services.kernel.database import TRANSIENT, Connection
from services.kernel.errors import Unavailable
from services.kernel.ledger import Draft, Ledger, Work
from services.kernel.tasks import end

T = TypeVar("T")
log = logging.getLogger("opsledger.kernel")


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """A decision's answer, and where what it appended stands. Nothing appended: no positions, no refs."""

    value: T
    positions: dict[str, int] = field(default_factory=dict)
    refs: dict[int, tuple[str, int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Pending:
    decide: Callable[[Work], Awaitable[Any]]
    principal: str
    traceparent: str | None
    done: asyncio.Future[Committed[Any]]
    value: Any = None
    drafts: list[Draft] = field(default_factory=list)
    error: BaseException | None = None
    repeats: int | None = None  # ref of an earlier decision, perhaps of this very group, that this one only repeats


class GroupCommitter:
    """Runs decisions against one ledger, in groups."""

    def __init__(self, ledger: Ledger, *, limit: int = 64, lanes: int = 1) -> None:
        self.ledger = ledger
        self._limit = limit
        self._lanes = lanes
        self._queue: asyncio.Queue[_Pending] = asyncio.Queue(maxsize=10_000)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to take decisions."""
        self._tasks = [asyncio.create_task(self._run(), name=f"committer-{n}") for n in range(self._lanes)]

    async def stop(self) -> None:
        """Finish what has been submitted, then stop."""
        try:
            async with asyncio.timeout(5):
                await self._queue.join()
        except TimeoutError:
            log.warning("committer_stopped_with_work_left", extra={"waiting": self._queue.qsize()})
        await end(*self._tasks)

    async def submit(
        self, decide: Callable[[Work], Awaitable[T]], *, principal: str = "system", traceparent: str | None = None
    ) -> Committed[T]:
        """Run `decide` in a group's transaction; return its value once everything it appended is durable.

        Raises what `decide` raised, or Unavailable `outcome_unknown` when the database failed in between.
        """
        done: asyncio.Future[Committed[T]] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Pending(decide, principal, traceparent, done))
        return await done

    async def _run(self) -> None:
        while True:
            group = [await self._queue.get()]
            while len(group) < self._limit and not self._queue.empty():
                group.append(self._queue.get_nowait())
            try:
                await self._commit(group)
            except BaseException as error:  # every waiter must hear of it, also of a cancellation
                _fail(group, error)
                if not isinstance(error, Exception):
                    raise
            finally:
                for _ in group:
                    self._queue.task_done()

    async def _commit(self, group: list[_Pending]) -> None:
        placed: dict[int, tuple[str, int]] = {}
        alone = len(group) == 1
        try:
            async with self.ledger.db.tx() as conn:
                earlier: dict[int, Draft] = {}
                for pending in group:
                    if not pending.done.cancelled():
                        await self._decide(conn, pending, earlier, alone=alone)
                        earlier.update((draft.ref, draft) for draft in pending.drafts)
                drafts = [draft for pending in group for draft in pending.drafts]
                if drafts:
                    placed = await self.ledger.write(conn, sorted(drafts, key=lambda draft: draft.ledger))
        except _Refused:
            placed = {}
        if placed:
            furthest: dict[str, int] = {}
            for name, number in placed.values():
                furthest[name] = max(number, furthest.get(name, 0))
            self.ledger.announce(furthest)
        for pending in group:
            _resolve(pending, placed)

    async def _decide(
        self, conn: Connection, pending: _Pending, earlier: dict[int, Draft] | None = None, *, alone: bool = False
    ) -> None:
        """Run a decision in a savepoint. `alone`: the transaction serves as one (it saves two statements a commit)."""
        work = Work(
            self.ledger, conn, principal=pending.principal, traceparent=pending.traceparent, earlier=earlier or {}
        )
        try:
            async with nullcontext() if alone else conn.transaction():
                pending.value = await pending.decide(work)
                pending.drafts = await work.settle()
                pending.repeats = work.repeats
        except TRANSIENT:  # not the decision's fault: the whole group fails and its callers repeat
            raise
        except Exception as error:  # the decision's own: its savepoint is gone, the others' stand
            pending.error = error
            pending.drafts = []
            if alone:
                raise _Refused from error


class _Refused(Exception):
    """Undoes the transaction of a decision that is alone in it and has failed; its waiter hears why."""


def _resolve(pending: _Pending, placed: dict[int, tuple[str, int]]) -> None:
    if pending.done.done():
        return
    if pending.error is not None:
        pending.done.set_exception(pending.error)
        return
    refs = {draft.ref: placed[draft.ref] for draft in pending.drafts}
    positions: dict[str, int] = {}
    for name, number in refs.values():
        positions[name] = max(number, positions.get(name, 0))
    if pending.repeats in placed:
        positions = dict([placed[pending.repeats]])
    pending.done.set_result(Committed(pending.value, positions, refs))


def _fail(group: list[_Pending], error: BaseException) -> None:
    if isinstance(error, TRANSIENT) or not isinstance(error, Exception):
        log.warning("group_commit_failed", extra={"error": repr(error)})
        error = Unavailable("outcome_unknown", "the database failed before it confirmed the record")
    for pending in group:
        if not pending.done.done():
            pending.done.set_exception(error)
