"""Reactions: a projection leaves a to-do in the transaction of its checkpoint, a worker carries it out with commands.

Executed at least once; the command id made from what caused it keeps the effect single. No consumer in the broker
holds the position of a reaction, and rebuilding a projection leaves no to-do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from contracts.envelope import identity_key
from services.kernel.clock import monotonic, now
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.errors import Unavailable
from services.kernel.tasks import end

log = logging.getLogger("opsledger.kernel")

PASSING: tuple[type[Exception], ...] = (Unavailable, *TRANSIENT)
Handle = Callable[[str, dict[str, Any]], Awaitable[None]]


def command_id(reaction: str, ledger: str, number: int, index: int) -> str:
    """Return the command id of a reaction to one event: the same however often it is worked on."""
    return identity_key(reaction, f"{ledger}:{number}:{index}").hex()


async def put_todo(
    conn: Connection, reaction: str, key: str, payload: dict[str, Any] | None = None, due_at: datetime | None = None
) -> None:
    """Leave a to-do; one that is there already is renewed, so that work under way is done again."""
    await put_todos(conn, reaction, [(key, payload or {})], due_at)


async def put_todos(
    conn: Connection, reaction: str, todos: Iterable[tuple[str, dict[str, Any]]], due_at: datetime | None = None
) -> None:
    """Leave many to-dos in one statement, keys in sorted order."""
    items = sorted(dict(todos).items())
    if items:
        await conn.execute(
            "INSERT INTO public.todo AS t (reaction, key, payload, due_at)"
            " SELECT $1, k, p::jsonb, $4 FROM unnest($2::text[], $3::text[]) AS n (k, p)"
            " ON CONFLICT (reaction, key) DO UPDATE SET generation = t.generation + 1,"
            " payload = excluded.payload, due_at = least(t.due_at, excluded.due_at)",
            reaction, [k for k, _ in items], [msgspec.json.encode(p).decode() for _, p in items], due_at or now(),
        )  # fmt: skip


class TodoWorker:
    """Works on the to-dos of one reaction, `parallel` at a time; a failing one waits longer each time.

    `duty` bounds the share of time spent working (1.0: no bound), so that a reaction never starves the projections.
    """

    def __init__(
        self, db: Database, reaction: str, handle: Handle, *, parallel: int = 1, poll: float = 2.0, duty: float = 1.0
    ) -> None:
        self.db = db
        self.reaction = reaction
        self.handle = handle
        self._parallel = parallel
        self._poll = poll
        self._duty = duty
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Look now: a to-do has just been left."""
        self._wake.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"todo-{self.reaction}")

    async def stop(self) -> None:
        await end(self._task)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            started = monotonic()
            try:
                worked = await self.work_once()
            except TRANSIENT as error:
                log.warning("todo_interrupted", extra={"reaction": self.reaction, "error": repr(error)})
                worked = 0
                await asyncio.sleep(0.5)
            except Exception:  # a worker that ends would leave its to-dos for ever
                log.exception("todos_failed", extra={"reaction": self.reaction})
                worked = 0
                await asyncio.sleep(2.0)
            if self._duty < 1.0:
                await asyncio.sleep((monotonic() - started) * (1 / self._duty - 1))
            if not worked:
                try:
                    async with asyncio.timeout(self._poll):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def work_once(self, limit: int = 64) -> int:
        """Work on what is due; return how many to-dos were looked at."""
        async with self.db.conn() as conn:
            rows = await conn.fetch(
                "SELECT key, payload, generation, attempts FROM todo WHERE reaction = $1 AND due_at <= $2"
                " ORDER BY due_at LIMIT $3",
                self.reaction, now(), limit,
            )  # fmt: skip
        for start in range(0, len(rows), self._parallel):
            await asyncio.gather(*(self._one(row) for row in rows[start : start + self._parallel]))
        return len(rows)

    async def _one(self, row: Any) -> None:
        payload = msgspec.json.decode(row["payload"], type=dict[str, Any])
        try:
            await self.handle(row["key"], payload)
        except PASSING as error:  # not this to-do's fault: it stays as it is, and all wait a moment
            raise OSError(f"{self.reaction}: {error}") from error
        except Exception as error:
            log.exception("todo_failed", extra={"reaction": self.reaction, "key": row["key"]})
            pause = timedelta(seconds=min(0.5 * 2 ** min(row["attempts"], 10), 300))
            async with self.db.conn() as conn:
                await conn.execute(
                    "UPDATE todo SET attempts = attempts + 1, error = $3, due_at = $4"
                    " WHERE reaction = $1 AND key = $2 AND generation = $5",
                    self.reaction, row["key"], repr(error)[:1000], now() + pause, row["generation"],
                )  # fmt: skip
            return
        async with self.db.conn() as conn:
            await conn.execute(
                "DELETE FROM todo WHERE reaction = $1 AND key = $2 AND generation = $3",
                self.reaction, row["key"], row["generation"],
            )  # fmt: skip
