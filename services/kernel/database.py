"""Access to the service's own Postgres database: transactions for the kernel and hot paths, an engine for the rest.

Must not know any table. asyncpg connections are handed out bare, because COPY, unnest and savepoints are used as they
are; the SQLAlchemy engine is for migrations and composed queries and opens connections only when used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection
Isolation = Literal["read_committed", "repeatable_read", "serializable"]

# What says nothing about the data: the connection, the disk or another transaction. Never poison; try again later.
TRANSIENT: tuple[type[Exception], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InternalServerError,  # a damaged page, or rows that another transaction changed below a command
    asyncpg.InvalidCachedStatementError,  # a table was changed below a prepared statement
    OSError,
    TimeoutError,
)


async def fetch_one(conn: Connection, query: str, *args: object) -> asyncpg.Record:
    """Return the one row that must be there; LookupError where it is not."""
    row = await conn.fetchrow(query, *args)
    if row is None:
        raise LookupError(query)
    return row


async def _leave(connection: Connection) -> None:
    """Hand a connection back as it is, once asyncpg has ended a transaction that was left open.

    Its default, four statements that reset the session, costs 2 to 3 % of a busy service's CPU. So nobody may change
    the session of a pooled connection: locks and settings are a transaction's own, LISTEN has `dedicated`.
    """


class Database:
    """A pool of connections to one database."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._pool: asyncpg.Pool
        self._engine: AsyncEngine | None = None
        self._started: object = None  # the server's start time, as of the first connection
        self._restart_listeners: list[Callable[[], None]] = []

    def on_restart(self, listener: Callable[[], None]) -> None:
        """Call `listener` before the first use of a connection to a server that has restarted."""
        self._restart_listeners.append(listener)

    async def _opened(self, connection: Connection) -> None:
        started = await connection.fetchval("SELECT pg_postmaster_start_time()")
        if self._started is not None and started != self._started:
            for listener in self._restart_listeners:
                listener()
        self._started = started

    @classmethod
    async def open(cls, dsn: str, size: int = 8, command_timeout: float = 60.0) -> Database:
        """Connect with at most `size` connections, of which one is opened at once.

        A statement that takes longer than `command_timeout` seconds and has no time of its own is a TimeoutError.
        """
        db = cls(dsn)
        db._pool = await asyncpg.create_pool(
            dsn,
            init=db._opened,
            min_size=1,
            max_size=size,
            command_timeout=command_timeout,
            max_inactive_connection_lifetime=120,
            reset=_leave,
            server_settings={"application_name": "opsledger", "jit": "off"},
        )
        return db

    async def close(self) -> None:
        """Close every connection, waiting at most five seconds for those in use."""
        if self._engine is not None:
            await self._engine.dispose()
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @property
    def engine(self) -> AsyncEngine:
        """The SQLAlchemy engine on the same database."""
        if self._engine is None:
            url = self.dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
            self._engine = create_async_engine(url, pool_size=2, max_overflow=2, pool_pre_ping=True)
        return self._engine

    @asynccontextmanager
    async def conn(self) -> AsyncIterator[Connection]:
        """A connection outside any transaction."""
        async with self._pool.acquire(timeout=15) as connection:
            yield connection

    @asynccontextmanager
    async def tx(self, isolation: Isolation | None = None, readonly: bool = False) -> AsyncIterator[Connection]:
        """A connection inside a transaction that commits at the end of the block and rolls back on any error."""
        async with (
            self._pool.acquire(timeout=15) as connection,
            connection.transaction(isolation=isolation, readonly=readonly),
        ):
            yield connection

    async def dedicated(self) -> asyncpg.Connection:
        """A connection of one's own, for advisory locks and LISTEN. The caller closes it."""
        options: dict[str, Any] = {
            "application_name": "opsledger-lock",
            "tcp_keepalives_idle": "10",  # a client that is gone silently keeps its lock for half a minute at most
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }
        return await asyncpg.connect(self.dsn, timeout=10, command_timeout=30, server_settings=options)
