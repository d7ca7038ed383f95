"""What maintenance needs of one service: its database, its ledgers, the broker, its projections.

For the owner of the instance, who can read its secrets. A service tells what it is made of in its `app` module:
`projections(settings)` = fresh instances of its projections, `restore` = how a commit's inline rows are rebuilt.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import httpx
from nats.aio.client import Client

from contracts.client.over_http import TokenExchange
from deploy.local.instance import DECIDING, Credentials, Instance, load_credentials
from deploy.local.process import RunnerError
from deploy.local.provision import service_environment
from services.cli.access import instance_grant
from services.kernel.archive import OwnerClient, Restore
from services.kernel.broker import connect
from services.kernel.database import Database
from services.kernel.ledger import Ledger
from services.kernel.projection import Projection
from services.kernel.reader import StreamReader
from services.kernel.settings import Settings


@dataclass
class Workshop:
    """One service, opened up."""

    service: str
    db: Database
    ledger: Ledger
    nc: Client
    owners: OwnerClient
    projections: dict[str, Projection]

    def reader(self, ledger: str) -> StreamReader:
        """Return a reader of any service's ledger; gaps are filled by its owner."""
        return StreamReader(self.nc, ledger, self.owners.fetch)


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


def projections_of(instance: Instance, service: str) -> dict[str, Projection]:
    """Return fresh instances of a service's projections by name; {} where it has none to tell of."""
    app = import_module(f"services.{service}.app")
    if not hasattr(app, "projections"):
        return {}
    made: Sequence[Projection] = app.projections(settings_of(instance, load_credentials(instance), service))
    return {projection.name: projection for projection in made}


def restore_of(service: str) -> Restore:
    """Return how a service rebuilds a commit's inline rows. Raises RunnerError where it does not say."""
    restore: Restore | None = getattr(import_module(f"services.{service}.app"), "restore", None)
    if restore is None:
        raise RunnerError("not_restorable", f"{service} does not say how its rows are rebuilt", "update the program")
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
    async with httpx.AsyncClient(timeout=30) as client:
        try:
            db = await Database.open(settings.database_url, size=4)
            nc = await connect(settings.nats_url, "admin", credentials.nats["admin"], name="opsledger-cli")
        except OSError as error:
            raise RunnerError("not_running", f"database or broker do not answer: {error}", "opsledger up") from error
        tokens = TokenExchange(client, instance.url("org"), instance_grant(instance, "auditor"))
        owners = OwnerClient({name: instance.url(name) for name in DECIDING}, tokens)
        try:
            yield Workshop(
                service=service,
                db=db,
                ledger=ledger_of(db, service, credentials),
                nc=nc,
                owners=owners,
                projections=projections_of(instance, service),
            )
        finally:
            await owners.close()
            await nc.close()
            await db.close()
