"""Held events: looked at again when org comes to know somebody or something, and all of them from time to time.

A hold ends as recorded (here), by a void, or by an operator's correction; each end is a commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from services.activity import facts, store
from services.activity.decision import Unit
from services.activity.facts import HELD, RECORDED, Row
from services.activity.projections.identities import RELEASE
from services.activity.rules import Identity
from services.activity.service import Service
from services.kernel.database import TRANSIENT
from services.kernel.errors import Refusal, Unavailable
from services.kernel.ledger import Work
from services.kernel.reaction import TodoWorker
from services.kernel.tasks import end

log = logging.getLogger("opsledger.activity")

PAGE = 500  # holds a decision
SWEEP_SECONDS = 30.0


def identity_of(waits_for: str, code: str) -> Identity:
    """Return the identity behind a hold's reason; the inverse of `waits_for`."""
    kind, _, rest = waits_for.partition(":")
    if kind == "account":
        length, _, text = rest.partition(":")
        return ("account", text[: int(length)], text[int(length) + 1 :])
    return ("counterpart" if code == "unknown_counterpart" else "person", "", rest)


class Holds:
    """Works on the to-dos that org's changes leave, and sweeps all holds."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._worker = TodoWorker(service.db, RELEASE, self._release)
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._worker.start()
        self._sweeper = asyncio.create_task(self._sweep(), name="holds-sweep")

    async def stop(self) -> None:
        await self._worker.stop()
        await end(self._sweeper)

    def wake(self) -> None:
        """Look at the to-dos now: org's ledger has just been folded further."""
        self._worker.wake()

    async def _release(self, waits_for: str, _: dict[str, Any]) -> None:
        async with self.service.db.conn() as conn:
            rows = await conn.fetch("SELECT key FROM activity_hold_reason WHERE waits_for = $1", waits_for)
        await self.examine([row["key"] for row in rows])

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.examine_all()
            except Exception as error:
                if not isinstance(error, (Refusal, *TRANSIENT)):
                    log.exception("holds_sweep_failed")
                    continue
                log.warning("holds_sweep_interrupted", extra={"error": repr(error)})

    async def examine_all(self) -> int:
        """Look at every hold again; return how many ended."""
        async with self.service.db.conn() as conn:
            rows = await conn.fetch("SELECT key FROM activity_hold ORDER BY key")
        return await self.examine([row["key"] for row in rows])

    async def examine(self, keys: Sequence[bytes]) -> int:
        """Record those of the held events whose identities are all on record by now; return how many."""
        return sum([await self._examine(keys[start : start + PAGE]) for start in range(0, len(keys), PAGE)])

    async def _examine(self, keys: Sequence[bytes]) -> int:
        """Decide on a page of holds; one that is refused (the limits may be lower by now) keeps no other back."""

        async def decide(work: Work) -> int:
            return await self._decide(work, keys)

        try:
            return (await self.service.committer.submit(decide, principal="activity")).value
        except Unavailable:
            raise
        except Refusal as refusal:
            if len(keys) == 1:
                log.warning("hold_refused", extra={"key": keys[0].hex(), "code": refusal.code})
                return 0
            middle = len(keys) // 2
            return await self._examine(keys[:middle]) + await self._examine(keys[middle:])

    async def _decide(self, work: Work, keys: Sequence[bytes]) -> int:
        records = await store.read_lines(work.conn, [], keys)
        lines = {key: row for key, row in store.lines_of(records).items() if row.state == HELD}
        ready = await self._ready(work, list(lines))
        if not ready:
            return 0
        rows = [lines[key] for key in sorted(ready)]
        found = await work.conn.fetch("SELECT key, event FROM activity_hold WHERE key = ANY($1)", list(ready))
        raw = {record["key"]: msgspec.Raw(record["event"]) for record in found}
        units = [Unit(row.shard, [facts.recorded_line(row, raw[row.key], work.now)], recorded=[row]) for row in rows]
        work.rests_on(self.service.intake.rests_on(), self.service.intake.epochs())
        await store.append_units(work, units)
        await self._write(work, rows)
        return len(rows)

    async def _ready(self, work: Work, keys: Sequence[bytes]) -> set[bytes]:
        """Return the holds of which nothing is unknown any more."""
        reasons = await work.conn.fetch("SELECT * FROM activity_hold_reason WHERE key = ANY($1)", keys)
        wanted: dict[bytes, list[Identity]] = {key: [] for key in keys}
        for reason in reasons:
            wanted[reason["key"]].append(identity_of(reason["waits_for"], reason["code"]))
        known = self.service.known
        unknown = {who for many in wanted.values() for who in many if not known.knows(who)}
        if unknown:
            await known.look_up(work.conn, unknown)
        return {key for key, many in wanted.items() if all(known.knows(who) for who in many)}

    async def _write(self, work: Work, rows: Sequence[Row]) -> None:
        await work.conn.executemany(
            "UPDATE activity SET state = $2, recorded_ref = $3 WHERE key = $1",
            [(row.key, RECORDED, row.recorded_ref) for row in rows],
        )
        await store.end_holds(work.conn, [row.key for row in rows], "recorded")
