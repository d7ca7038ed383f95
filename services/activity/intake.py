"""Intake: the one function that every event comes through, inside the ledger's transaction.

Concurrent requests are merged into one decision; what another process has just recorded shows as a violated primary
key, and the whole decision is made again. Must not acknowledge anything before the commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.activity import quarantine, store
from services.activity.answers import Judged, Outcome, answers_of, insist_on_all, join, place_of
from services.activity.catalogue import CatalogueStore
from services.activity.decision import Decider, Decision
from services.activity.known import KnownIdentities
from services.activity.request import Request
from services.activity.structure import Candidate
from services.kernel.commands import execute
from services.kernel.committer import Committed, GroupCommitter
from services.kernel.database import TRANSIENT
from services.kernel.errors import Refusal, Unavailable
from services.kernel.ledger import Work
from services.kernel.outcomes import Answer, Result
from services.kernel.tasks import end

log = logging.getLogger("opsledger.activity")

MERGED = 2000  # events of merged requests at most
ATTEMPTS = 12  # a decision that lost a race is made again
LOOKS = 32  # decisions that read what stands before they decide, after one that should have


@dataclass(slots=True)
class _Waiting:
    request: Request
    done: asyncio.Future[Answer]


class Intake:
    """Takes requests, merges those that arrive together, and answers each after its commit."""

    def __init__(
        self,
        committer: GroupCommitter,
        catalogue: CatalogueStore,
        known: KnownIdentities,
        limits: quarantine.Limits,
        *,
        lanes: int = 2,
    ) -> None:
        self.committer = committer
        self.catalogue = catalogue
        self.known = known
        self.limits = limits
        self.shards = len(committer.ledger.names)
        self.rests_on: Callable[[], dict[str, int]] = dict  # how far org's ledger has been folded here
        self.epochs: Callable[[], dict[str, int]] = dict  # and in which epoch
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._lanes = lanes
        self._looks = 0  # how many of the next decisions read first
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(), name=f"intake-{n}") for n in range(self._lanes)]

    async def stop(self) -> None:
        """Finish what has been taken, then stop."""
        try:
            async with asyncio.timeout(5):
                await self._queue.join()
        except TimeoutError:
            log.warning("intake_stopped_with_work_left")
        await end(*self._tasks)

    async def submit(self, request: Request) -> Answer:
        """Decide a request; return once everything it records is durable. Raises Refusal."""
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        return await waiting.done

    async def _run(self) -> None:
        while True:
            group = [await self._queue.get()]
            size = len(group[0].request.events)
            while size < MERGED and not self._queue.empty():
                group.append(self._queue.get_nowait())
                size += len(group[-1].request.events)
            try:
                await self._settle(group)
            except BaseException as error:
                _fail(group, error)
                if not isinstance(error, Exception):
                    raise
            finally:
                for _ in group:
                    self._queue.task_done()

    async def _settle(self, group: Sequence[_Waiting]) -> None:
        await self.catalogue.refresh()
        try:
            answers = await self.decide([waiting.request for waiting in group])
        except Exception as error:
            if len(group) == 1 or isinstance(error, (Unavailable, *TRANSIENT)):
                raise
            if not isinstance(error, Refusal):
                log.exception("merged_intake_failed")
            # One request's fault must not be the others'.
            for waiting in group:
                try:
                    await self._settle([waiting])
                except Exception as error:
                    _fail([waiting], error)
            return
        for waiting, answer in zip(group, answers, strict=True):
            if not waiting.done.done():
                waiting.done.set_result(answer)

    async def decide(self, requests: Sequence[Request]) -> list[Answer]:
        """Decide requests in one commit group; repeats a decision that lost a race."""
        principals = {request.grant.principal for request in requests}
        principal = principals.pop() if len(principals) == 1 else "intake"
        look, self._looks = self._looks > 0, max(0, self._looks - 1)

        async def run(work: Work) -> Outcome:
            nonlocal look
            if look:
                return await self._decide(work, requests)
            look = True  # the next attempt, if there has to be one
            return await self._record(work, requests) or await self._decide(work, requests)

        return answers_of(
            await _undisturbed(
                lambda: self.committer.submit(run, principal=principal, traceparent=requests[0].traceparent)
            )
        )

    async def command(self, request: Request, route: str, key: str | None, body: bytes) -> Answer:
        """Decide an entitled person's void or correction: all of it stands, in one commit, or it is refused.

        Repeated under its idempotency key it is answered from what stands.
        """
        await self.catalogue.refresh()

        async def run(work: Work) -> Outcome:
            return await self._decide(work, [request], whole=True)

        async def repeated(work: Work) -> Outcome:
            keys = [event.key for event in request.events if isinstance(event, Candidate)]
            lines = store.lines_of(await store.read_lines(work.conn, keys, []))
            rows = [lines[key] for key in keys if key in lines]
            results = [Result(n, row.source, row.id, "duplicate") for n, row in enumerate(rows)]
            refs = {ref for row in rows if (ref := place_of(row)) is not None}
            return Outcome([Judged(results, list(rows), [])], await store.commits_of(work.conn, refs))

        done = await _undisturbed(
            lambda: execute(
                self.committer, run, principal=request.grant.principal, route=route, key=key, body=body,
                repeated=repeated, traceparent=request.traceparent,
            )
        )  # fmt: skip
        return answers_of(done)[0]

    async def _record(self, work: Work, requests: Sequence[Request]) -> Outcome | None:
        """Write without reading first, where every event is just recorded if its identity is new; else None.

        The primary key says whether it is: UniqueViolationError, and the next attempt reads. Measured: some 3 us of
        CPU per event less, here and in Postgres together. Whoever repeats what stands makes the next decisions read.
        """
        judged, done = self._judge(work, requests, [], [])
        if sum(len(rows) for _, rows in done.plain.values()) != sum(len(request.events) for request in requests):
            self._looks = LOOKS
            return None
        try:
            await self._write(work, requests, judged, done)
        except asyncpg.UniqueViolationError:
            self._looks = LOOKS
            raise
        return Outcome(judged)

    async def _decide(self, work: Work, requests: Sequence[Request], *, whole: bool = False) -> Outcome:
        candidates = [event for request in requests for event in request.events if isinstance(event, Candidate)]
        targets = sorted({event.target_key for event in candidates if event.target_key is not None})
        keys = [event.key for event in candidates]
        records = await store.read_lines(work.conn, keys, targets) if keys else []
        waiting = await store.read_waiting(work.conn, records)
        judged, done = self._judge(work, requests, records, waiting)
        if done.unknown and await self.known.look_up(work.conn, done.unknown):
            judged, done = self._judge(work, requests, records, waiting)
        if whole:
            insist_on_all(judged[0])
            join(done.units)
        await self._write(work, requests, judged, done)
        fresh = {id(row) for row in done.new.values()}
        standing = [row for one in judged for row in one.places if row is not None and id(row) not in fresh]
        old = {ref for row in standing if (ref := place_of(row)) is not None}
        return Outcome(judged, await store.commits_of(work.conn, old) if old else {})

    def _judge(
        self, work: Work, requests: Sequence[Request], records: list[Any], waiting: list[Any]
    ) -> tuple[list[Judged], Decision]:
        """Decide every request on fresh copies of what was read."""
        lines, voids = store.lines_of(records), store.waiting_of(waiting)
        decider = Decider(lines, voids, self.catalogue.types, self.known, work.now, self.shards)
        done = decider.done
        judged = []
        for request in requests:
            one = Judged([], [], [])
            done.results, done.places, done.rejected = one.results, one.places, one.rejected
            for index, event in enumerate(request.events):
                decider.decide(index, event, request.grant, request.corrects)
            judged.append(one)
        return judged, done

    async def _write(self, work: Work, requests: Sequence[Request], judged: Sequence[Judged], done: Decision) -> None:
        if done.plain or done.units:
            work.rests_on(self.rests_on(), self.epochs())
            await store.append_plain(work, done.plain)
            await store.append_units(work, done.units)
        messages: dict[bytes, str | None] = {}
        if done.held:
            for request in requests:
                if request.message is not None:
                    messages.update((e.key, request.message) for e in request.events if isinstance(e, Candidate))
        await store.write_decision(work.conn, done, work.now, messages)
        for request, one in zip(requests, judged, strict=True):
            if one.rejected and request.keep_rejected:
                await quarantine.keep(work.conn, request, one.rejected, work.now, self.limits)


async def _undisturbed(submit: Callable[[], Awaitable[Committed[Outcome]]]) -> Committed[Outcome]:
    """Submit until no other intake gets in between; the primary key tells.

    An unknown outcome (a deadlock, a database that restarts) is tried once more: identity makes it count once.
    """
    uncertain = False
    for attempt in range(ATTEMPTS):
        try:
            return await submit()
        except asyncpg.UniqueViolationError:
            await asyncio.sleep(0.001 * attempt)
        except Unavailable as error:
            if uncertain or error.code != "outcome_unknown":
                raise
            uncertain = True
            await asyncio.sleep(0.05)
    raise Unavailable("too_contended", "other requests with the same ids are being recorded")


def _fail(group: Sequence[_Waiting], error: BaseException) -> None:
    if not isinstance(error, Exception):
        error = Unavailable("outcome_unknown", "the service stops")
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(error)
