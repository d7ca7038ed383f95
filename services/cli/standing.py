"""How far ledgers and streams are and what waits in quarantine: asked of the databases and the broker themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import nats
from nats.js.errors import NotFoundError

from contracts.subjects import INBOX_CONTEXTS, inbox_stream, stream_name
from deploy.local.instance import Credentials, Instance

PATIENCE = 3.0


async def standing(instance: Instance, credentials: Credentials, services: list[str]) -> dict[str, Any]:
    """Return {"ledgers": {name: {"head", "epoch", "stream"}}, "quarantine", "inbox"}; None where nobody answers."""
    heads, quarantine = await _heads(instance, credentials, services)
    streams, inbox = await _streams(instance, credentials, {name: epoch for name, (_, epoch) in heads.items()})
    ledgers = {
        name: {"head": number, "epoch": epoch, "stream": streams.get(name)} for name, (number, epoch) in heads.items()
    }
    return {"ledgers": ledgers, "quarantine": quarantine, "inbox": inbox}


async def _heads(
    instance: Instance, credentials: Credentials, services: list[str]
) -> tuple[dict[str, tuple[int, int]], int | None]:
    heads: dict[str, tuple[int, int]] = {}
    quarantine: int | None = None
    for service in services:
        name = f"opsledger_{service}"
        try:
            conn = await asyncpg.connect(
                host=instance.host,
                port=instance.port("postgres"),
                user=name,
                database=name,
                password=credentials.databases[service],
                timeout=PATIENCE,
            )
        except (OSError, TimeoutError, asyncpg.PostgresError):
            continue
        try:
            for row in await conn.fetch("SELECT ledger, number, epoch FROM ledger_head ORDER BY ledger"):
                heads[row["ledger"]] = (row["number"], row["epoch"])
            if service == "activity":
                quarantine = await conn.fetchval("SELECT count(*) FROM quarantine")
        except asyncpg.PostgresError:  # it has not been migrated yet
            pass
        finally:
            await conn.close()
    return heads, quarantine


async def _streams(
    instance: Instance, credentials: Credentials, epochs: dict[str, int]
) -> tuple[dict[str, int], int | None]:
    async def quiet(_: Exception) -> None: ...

    try:
        nc = await asyncio.wait_for(
            nats.connect(
                f"nats://{instance.host}:{instance.port('nats')}",
                user="admin",
                password=credentials.nats["admin"],
                allow_reconnect=False,
                connect_timeout=2,
                error_cb=quiet,
            ),
            PATIENCE,
        )
    except (OSError, TimeoutError, nats.errors.Error):
        return {}, None
    found: dict[str, int] = {}
    waiting: int | None = None
    try:
        js = nc.jetstream(timeout=PATIENCE)
        for ledger, epoch in epochs.items():
            try:
                found[ledger] = (await js.stream_info(stream_name(ledger, epoch))).state.last_seq
            except NotFoundError:
                continue
        for context in INBOX_CONTEXTS:
            try:
                waiting = (waiting or 0) + (await js.stream_info(inbox_stream(context))).state.messages
            except NotFoundError:
                continue
    except (TimeoutError, nats.errors.Error):
        pass
    finally:
        await nc.close()
    return found, waiting
