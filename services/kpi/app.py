"""The composition root of the kpi service: what is opened, in which order, and closed again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from services.kernel.archive import OwnerClient
from services.kernel.auth import Authenticator, allow, load_trust
from services.kernel.bad_values import refuse_bad_values
from services.kernel.broker import connect
from services.kernel.committer import GroupCommitter
from services.kernel.database import Database
from services.kernel.identity import ServiceToken
from services.kernel.ledger import Ledger
from services.kernel.ledger_api import ledger_router
from services.kernel.migrate import migrate
from services.kernel.parts import Part, lag_check, run, spawn
from services.kernel.progress import Progress
from services.kernel.projection import Projection
from services.kernel.projector import Projector
from services.kernel.read_models_api import ReadModels, read_models_router
from services.kernel.reader import StreamReader
from services.kernel.rebuild import start_over
from services.kernel.relay import Relay
from services.kernel.settings import Settings
from services.kernel.trust import TrustProjection
from services.kernel.upkeep import CommandUpkeep
from services.kernel.web import add_check, create_app
from services.kpi import api_alerts, api_policies, api_reads, api_stream
from services.kpi.changes import Changes
from services.kpi.context import Heads, Kpi
from services.kpi.explain import EvidenceClient
from services.kpi.figures import Figures
from services.kpi.ledger_rows import inline, restore
from services.kpi.projections.facts import FactsProjection
from services.kpi.projections.organisation import OrganisationProjection
from services.kpi.reactions import AlertWorker

__all__ = ["create", "projections", "restore"]


def projections(settings: Settings, *, live: bool = False) -> list[Projection]:
    """Return fresh projections; those that are not live (a rebuild's) tell nobody of changes."""
    ledgers = [f"activity.{shard}" for shard in range(settings.activity_shards)]
    return [OrganisationProjection(live=live), FactsProjection(ledgers, live=live), TrustProjection()]


def create(settings: Settings) -> FastAPI:
    """Return the app; nothing is opened before its lifespan begins."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            kpi = await _open(settings, stack)
            app.state.kpi = kpi
            app.state.authenticator = Authenticator(lambda: load_trust(kpi.db))
            app.state.ledger = kpi.ledger
            await _start(app, kpi, stack)
            yield

    app = create_app("opsledger kpi", settings, lifespan)
    refuse_bad_values(app)
    for router in (api_reads.router, api_policies.router, api_stream.router, api_alerts.router):
        app.include_router(router)
    app.include_router(ledger_router(allow("ledger.read").dependency))
    app.include_router(read_models_router(allow("operations.read").dependency, allow("operations.rebuild").dependency))
    return app


async def _open(settings: Settings, stack: AsyncExitStack) -> Kpi:
    await migrate(settings.database_url, "kpi")
    db = await Database.open(settings.database_url, size=12)
    stack.push_async_callback(db.close)
    nc = await connect(settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value(), name="kpi")
    stack.push_async_callback(nc.close)
    client = httpx.AsyncClient(timeout=httpx.Timeout(10, connect=2))
    stack.push_async_callback(client.aclose)
    tokens = ServiceToken(settings)
    owners = OwnerClient({"org": settings.org_url, "activity": settings.activity_url}, tokens)
    stack.push_async_callback(owners.close)
    evidence = EvidenceClient(settings.activity_url)
    stack.push_async_callback(evidence.close)
    ledger = Ledger(db, "kpi", inline=inline, limit=settings.commit_limit_bytes)
    await ledger.open()

    def reader(name: str) -> StreamReader:
        return StreamReader(nc, name, owners.fetch)

    live = projections(settings, live=True)
    projectors = {projection.name: Projector(db, projection, reader) for projection in live}
    return Kpi(
        settings=settings,
        db=db,
        nc=nc,
        ledger=ledger,
        committer=GroupCommitter(ledger),
        figures=Figures(db, settings.zone),
        changes=Changes(db),
        evidence=evidence,
        heads=Heads(settings, tokens, client, nc),
        projectors=projectors,
        progress=Progress(projectors.values()),
        reader=reader,
        fresh=lambda: {projection.name: projection for projection in projections(settings)},
    )


async def _start(app: FastAPI, kpi: Kpi, stack: AsyncExitStack) -> None:
    """Start what works in the background; it stops in the opposite order."""
    relay = Relay(kpi.ledger, "kpi", kpi.nc)
    for projector in kpi.projectors.values():
        projector.start_over = lambda db, projection, reader: start_over(db, kpi.fresh()[projection.name], reader)
    app.state.alerts = alerts = AlertWorker(kpi)
    app.state.read_models = models = ReadModels(kpi.db, kpi.projectors, kpi.fresh, kpi.reader)
    upkeep = CommandUpkeep(kpi.db, kpi.settings.command_days)
    parts: list[Part] = [relay, kpi.committer, *kpi.projectors.values(), kpi.changes, alerts, models, upkeep]
    for part in parts:
        await run(stack, part)
    for projector in kpi.projectors.values():
        spawn(stack, projector.watch_heads(kpi.heads.of_one))

    async def ledger_ready() -> Mapping[str, Any]:
        return {"ready": not kpi.ledger.refusals, "refusals": [r.code for r in kpi.ledger.refusals.values()]}

    async def broker_ready() -> Mapping[str, Any]:
        return {"ready": kpi.nc.is_connected}

    add_check(app, "ledger", ledger_ready)
    add_check(app, "broker", broker_ready)
    for name, projector in kpi.projectors.items():
        add_check(app, name, lag_check(projector))
