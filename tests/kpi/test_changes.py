"""Whoever listens for changes notices that its connection is dead, though nothing says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from services.kernel.database import Database
from services.kpi import changes
from services.kpi.changes import Changes, announce


class Wire:
    """A TCP connection to the database that can be cut without either end hearing of it."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.connections = 0
        self.dead = 0  # the first so many carry nothing any more

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, here = await asyncio.open_connection(self.host, self.port)
        mine = self.connections
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await asyncio.gather(self._pump(reader, here, mine), self._pump(there, writer, mine))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mine: int) -> None:
        while data := await reader.read(65536):
            if mine > self.dead:
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def wire(database: str) -> AsyncIterator[tuple[Wire, str]]:
    parts = urlsplit(database)
    wire = Wire(parts.hostname or "", parts.port or 0)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield wire, database.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}")
    server.close()


async def test_a_silently_dead_connection_is_made_anew(wire, database: str, monkeypatch) -> None:
    monkeypatch.setattr(changes, "ASK_EVERY", 0.1)
    monkeypatch.setattr(changes, "ANSWER_WITHIN", 0.3)
    line, dsn = wire
    through = Database(dsn)  # only its address is used: the listener has a connection of its own
    heard = Changes(through)
    direct = await Database.open(database, size=1)
    async with heard.subscribe() as subscription:
        await heard.start()
        assert await subscription.take(10) is None  # it listens
        async with direct.tx() as conn:
            await announce(conn, ["1"])
        assert await subscription.take(10) == {"1"}
        line.dead = line.connections
        assert await subscription.take(10) is None  # anything may have been said meanwhile
        assert line.connections > line.dead
        async with direct.tx() as conn:
            await announce(conn, ["2"])
        assert await subscription.take(10) == {"2"}
        await heard.stop()
    with contextlib.suppress(TimeoutError):
        await direct.close()
