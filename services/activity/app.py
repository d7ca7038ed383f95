"""The composition root of the activity service: what is opened, in which order, and closed again."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI

from services.activity import api, api_changes, api_events, api_evidence, api_quarantine
from services.activity.catalogue import CatalogueStore, write_types
from services.activity.holds import Holds
from services.activity.intake import Intake
from services.activity.known import KnownIdentities
from services.activity.messages import MessageIntake
from services.activity.projections.identities import IdentitiesProjection
from services.activity.quarantine import Limits, sweep
from services.activity.receipts import SecondReceipts
from services.activity.restore import restore
from services.activity.service import Service
from services.kernel.archive import OwnerClient
from services.kernel.auth import Authenticator, allow, load_trust
from services.kernel.bad_values import refuse_bad_values
from services.kernel.broker import connect
from services.kernel.clock import now
from services.kernel.committer import GroupCommitter
from services.kernel.database import TRANSIENT, Database
from services.kernel.identity import ServiceToken
from services.kernel.ledger import Ledger
from services.kernel.ledger_api import ledger_router
from services.kernel.messages import Messages
from services.kernel.migrate import migrate
from services.kernel.parts import lag_check, relay_check, run, spawn
from services.kernel.projection import Projection
from services.kernel.projector import Projector
from services.kernel.publishers import Publishers
from services.kernel.read_models_api import ReadModels, read_models_router
from services.kernel.reader import StreamReader
from services.kernel.rebuild import start_over
from services.kernel.receipts import Receipts
from services.kernel.relay import Relay
from services.kernel.settings import Settings
from services.kernel.trust import TrustProjection
from services.kernel.upkeep import CommandUpkeep
from services.kernel.web import add_check, create_app

__all__ = ["create", "restore"]  # restore: what healing and import call

log = logging.getLogger("opsledger.activity")

SWEEP_SECONDS = 600.0
COLLECT = (50_000, 20, 20)  # a batch makes tens of thousands of objects, hardly any of them in circles


def create(settings: Settings) -> FastAPI:
    """Return the app; everything is opened in its lifespan."""
    app = create_app("opsledger activity", settings, partial(_lifespan, settings))
    refuse_bad_values(app)
    for router in (api_events.router, api.router, api_changes.router, api_evidence.router, api_quarantine.router):
        app.include_router(router)
    app.include_router(ledger_router(allow("ledger.read").dependency))
    app.include_router(read_models_router(allow("operations.read").dependency, allow("operations.rebuild").dependency))
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await _open(settings, app, stack)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)
        yield


async def _open(settings: Settings, app: FastAPI, stack: AsyncExitStack) -> None:
    await migrate(settings.database_url, "activity")
    db = await Database.open(settings.database_url, size=12)
    stack.push_async_callback(db.close)
    app.state.authenticator = Authenticator(partial(load_trust, db))
    ledger = Ledger(
        db, "activity", shards=settings.activity_shards, sharded=True, inline=write_types,
        limit=settings.commit_limit_bytes,
    )  # fmt: skip
    await ledger.open()
    nc = await connect(
        settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value(), name="activity"
    )
    stack.push_async_callback(nc.close)
    for name in ledger.names:
        relay = Relay(ledger, name, nc)
        await run(stack, relay)
        add_check(app, f"relay {name}", relay_check(relay))
    # Intake merges requests into decisions itself; one decision a transaction keeps its locks in one sorted order.
    committer = GroupCommitter(ledger, lanes=2, limit=1)
    await run(stack, committer)
    await run(stack, CommandUpkeep(db, settings.command_days))
    app.state.ledger = ledger
    owner = OwnerClient({"org": settings.org_url}, ServiceToken(settings))
    stack.push_async_callback(owner.close)

    def reader(name: str) -> StreamReader:
        return StreamReader(nc, name, owner.fetch)

    projectors = {projection.name: Projector(db, projection, reader) for projection in projections(live=True)}
    identities = projectors["identities"]
    app.state.read_models = ReadModels(db, projectors, lambda: {one.name: one for one in projections()}, reader)
    await run(stack, app.state.read_models)
    for projector in projectors.values():
        projector.start_over = start_over
        await run(stack, projector)
        spawn(stack, projector.watch_heads(owner.head))
        add_check(app, projector.projection.name, lag_check(projector))
    known, catalogue = KnownIdentities(), CatalogueStore(db)
    await known.load(db)
    intake = Intake(committer, catalogue, known, Limits())
    intake.rests_on, intake.epochs = (lambda: identities.applied), (lambda: identities.epochs)
    publishers = Publishers(db, "identities", "activity")
    service = Service(settings, db, ledger, committer, catalogue, known, publishers, intake)
    app.state.service = service
    spawn(stack, _seed(app, service))
    await run(stack, intake)
    receipts = Receipts(nc, "activity")
    await run(stack, SecondReceipts(db, receipts))
    holds = Holds(service)
    await run(stack, holds)
    identities.on_applied(lambda ledger_name, commits: holds.wake())
    messages = Messages(MessageIntake(service), settings, receipts)
    await run(stack, messages)
    add_check(app, "messages", messages.check)
    spawn(stack, _sweep(service))


def projections(*, live: bool = False) -> list[Projection]:
    """Return fresh projections; those that are not live (a rebuild's) emit nothing."""
    return [IdentitiesProjection(live=live), TrustProjection()]


async def _seed(app: FastAPI, service: Service) -> None:
    """Load the handbook's types as soon as the ledger may be written; the service is ready afterwards."""
    state = {"ready": False}

    async def check() -> dict[str, Any]:
        return {"ready": state["ready"], "types": len(service.catalogue.types)}

    add_check(app, "catalogue", check)
    await service.catalogue.load()
    while True:
        try:
            await service.catalogue.seed(service.committer)
        except Exception as error:  # not yet writable; whatever it is, the readiness answer shows it lasting
            service.lag["catalogue"] = repr(error)
            await asyncio.sleep(0.1)
        else:
            state["ready"] = True
            return


async def _sweep(service: Service) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await sweep(service.db, now())
        except TRANSIENT as error:
            service.lag["sweep"] = repr(error)
        except Exception:  # a sweep that ends would let the quarantine grow for ever
            log.exception("quarantine_sweep_failed")
