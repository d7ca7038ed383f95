"""Moves a service's own schema to the newest Alembic revision; safe when several processes start at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import Connection as SyncConnection
from sqlalchemy.ext.asyncio import create_async_engine

SERVICES = Path(__file__).resolve().parent.parent
LOCK = 0x6D696772


def configuration(service: str, connection: SyncConnection | None = None) -> Config:
    """Return the Alembic configuration of a service's migrations."""
    config = Config()
    config.set_main_option("script_location", str(SERVICES / "kernel" / "migrations"))
    config.set_main_option("version_locations", str(SERVICES / service / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: SyncConnection, service: str) -> None:
    connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    command.upgrade(configuration(service, connection), "head")


async def migrate(dsn: str, service: str) -> None:
    """Run the service's migrations that have not run yet, in one transaction."""
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=1)
    try:
        async with asyncio.timeout(120), engine.begin() as connection:
            await connection.run_sync(_upgrade, service)
    finally:
        await engine.dispose()
