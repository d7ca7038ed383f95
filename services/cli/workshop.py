"""What looking after a ledger needs of one service: its database, its ledgers, the broker.

For the owner of the instance, who can read its secrets. A service says in its `app` module how the rows that it wrote
beside a commit are written again: `restore`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from nats.aio.client import Client

from deploy.local.instance import DECIDING, Credentials, Instance, load_credentials
from deploy.local.process import RunnerError
from deploy.local.provision import service_environment
from services.kernel.archive import Restore
from services.kernel.broker import connect
from services.kernel.codec import Commit
from services.kernel.database import TRANSIENT, Connection, Database
from services.kernel.errors import Refusal
from services.kernel.ledger import Ledger
from services.kernel.settings import Settings

CONNECT_SECONDS = 10.0


@dataclass
class Workshop:
    """One service, opened up."""

    service: str
    db: Database
    ledger: Ledger
    nc: Client


def deciding_services() -> list[str]:
    """Return the services that keep a ledger and whose code is there."""
    return [name for name in DECIDING if find_spec(f"services.{name}.app") is not None]


def settings_of(instance: Instance, credentials: Credentials, service: str) -> Settings:
    """Return the settings that the supervisor gives a service."""
    environment = service_environment(
        service,
        credentials,
        host=instance.host,
        port=instance.port(service),
        database_address=f"{instance.host}:{instance.port('postgres')}",
        nats_url=f"nats://{instance.host}:{instance.port('nats')}",
        urls={name: instance.url(name) for name in (*DECIDING, "portal")},
    )
    plain: dict[str, Any] = {name.removeprefix("OPSLEDGER_").lower(): text for name, text in environment.items()}
    for secret in ("service_secrets", "instance_secret", "nats_issuer_seed"):
        plain.pop(secret, None)
    return Settings(**plain)


def restore_of(service: str) -> Restore:
    """Return how a service writes a commit's inline rows again; its code is imported when a commit has to be."""

    async def restore(conn: Connection, commit: Commit, ref: int) -> None:
        own: Restore | None = getattr(import_module(f"services.{service}.app"), "restore", None)
        if own is None:
            raise RunnerError("not_restorable", f"{service} does not say how its rows are written again", "update it")
        await own(conn, commit, ref)

    return restore


def ledger_of(db: Database, service: str, credentials: Credentials) -> Ledger:
    """Return a service's ledger over an open database."""
    return (
        Ledger(db, service, shards=credentials.activity_shards, sharded=True)
        if service == "activity"
        else Ledger(db, service)
    )


@asynccontextmanager
async def workshop(instance: Instance, service: str) -> AsyncIterator[Workshop]:
    """Open one service's database and the broker beside the running system. Raises RunnerError if they are not up."""
    credentials = load_credentials(instance)
    settings = settings_of(instance, credentials, service)
    try:
        db = await Database.open(settings.database_url, size=4)
        broker = connect(settings.nats_url, "admin", credentials.nats["admin"], name="opsledger-cli")
        nc = await asyncio.wait_for(broker, CONNECT_SECONDS)
    except TRANSIENT as error:
        raise RunnerError("not_running", f"database or broker do not answer: {error}", "opsledger up") from error
    try:
        yield Workshop(service, db, ledger_of(db, service, credentials), nc)
    finally:
        await nc.close()
        await db.close()


def as_runner_error(error: Refusal) -> RunnerError:
    """Return a kernel's refusal as what the terminal shows."""
    return RunnerError(error.code, error.detail, error.remedy or "opsledger status")
