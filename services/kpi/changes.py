"""Who is told that figures may have changed: every process of the service, by the commit of the projector itself.

A hint, never a promise: whoever listens reads the figures again. Uses NOTIFY, which Postgres sends only on commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Collection
from typing import Any

import asyncpg

from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.tasks import end

log = logging.getLogger("opsledger.kpi")

CHANNEL = "kpi_changed"
ASK_EVERY = 5.0  # seconds between looks whether the connection still answers
ANSWER_WITHIN = 5.0
PAYLOAD = 7000  # bytes; Postgres takes less than 8,000


async def announce(conn: Connection, people: Collection[str] | None) -> None:
    """Tell at commit that these people's figures may have changed; None: anybody's."""
    text = "*" if people is None else json.dumps(sorted(people))
    await conn.execute("SELECT pg_notify($1, $2)", CHANNEL, text if len(text.encode()) <= PAYLOAD else "*")


class Changes:
    """Listens in one connection and hands out what changed to any number of subscribers."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._task: asyncio.Task[None] | None = None
        self._waiting: set[Subscription] = set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="kpi-changes")

    async def stop(self) -> None:
        await end(self._task)

    @contextlib.asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription]:
        """Collect changes from now on."""
        subscription = Subscription()
        self._waiting.add(subscription)
        try:
            yield subscription
        finally:
            self._waiting.discard(subscription)

    def _heard(self, _conn: Any, _pid: int, _channel: str, payload: object) -> None:
        people = None if payload == "*" else set(json.loads(str(payload)))
        for subscription in self._waiting:
            subscription.add(people)

    async def _run(self) -> None:
        while True:
            conn: asyncpg.Connection | None = None
            lost = asyncio.Event()
            try:
                conn = await self._db.dedicated()
                conn.add_termination_listener(lambda _, event=lost: event.set())
                await conn.add_listener(CHANNEL, self._heard)
                for subscription in self._waiting:  # whatever was said while nobody listened
                    subscription.add(None)
                await _while_it_answers(conn, lost)
            except TRANSIENT as error:
                log.warning("changes_not_heard", extra={"error": repr(error)})
            except Exception:
                log.exception("changes_not_heard")
                await asyncio.sleep(2.0)
            finally:
                if conn is not None:
                    conn.terminate()
            await asyncio.sleep(0.5)


async def _while_it_answers(conn: asyncpg.Connection, lost: asyncio.Event) -> None:
    """Return when the connection has ended; TimeoutError when it is silently dead: nothing is heard, nothing fails."""
    while not lost.is_set():
        try:
            async with asyncio.timeout(ASK_EVERY):
                await lost.wait()
        except TimeoutError:
            await conn.fetchval("SELECT 1", timeout=ANSWER_WITHIN)


class Subscription:
    """What has changed since it was last taken."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._people: set[str] | None = set()

    def add(self, people: set[str] | None) -> None:
        if people is None or self._people is None:
            self._people = None
        else:
            self._people |= people
        self._event.set()

    async def take(self, timeout: float) -> set[str] | None:
        """Return who has changed (None: anybody), waiting for it; an empty set after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return set()
        people, self._people = self._people, set()
        self._event.clear()
        return people
