"""The composition root of the tickets service: what is opened, in which order, and closed again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI

from services.kernel.archive import OwnerClient, read_commits
from services.kernel.auth import Authenticator, allow, load_trust
from services.kernel.bad_values import refuse_bad_values
from services.kernel.broker import connect
from services.kernel.codec import Commit
from services.kernel.committer import GroupCommitter
from services.kernel.database import Database
from services.kernel.identity import ServiceToken
from services.kernel.ledger import Ledger
from services.kernel.ledger_api import ledger_router
from services.kernel.messages import Messages
from services.kernel.migrate import migrate
from services.kernel.parts import Part, lag_check, relay_check, run, spawn
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
from services.tickets import api_care, api_customers, api_events, api_levels, api_reads, api_statistics, api_tickets
from services.tickets.care_worker import CareWorker
from services.tickets.commanding import Tickets
from services.tickets.erasing import replay_erasures
from services.tickets.intake import TicketIntake
from services.tickets.projections.board import BoardProjection
from services.tickets.projections.care import CareProjection
from services.tickets.projections.organisation import OrganisationProjection, unit_tree
from services.tickets.projections.statistics import StatisticsProjection
from services.tickets.reach import Units
from services.tickets.sealing import Vault
from services.tickets.store import restore, write_rows
from services.tickets.timers import TimerWorker

__all__ = ["create", "projections", "restore"]  # restore: what healing and import call


def projections(settings: Settings, vault: Vault) -> list[Projection]:
    """Return fresh projections, the running service's or a rebuild's."""
    return [
        OrganisationProjection(),
        BoardProjection(vault),
        StatisticsProjection(settings.zone),
        CareProjection(vault),
        TrustProjection(),
    ]


def create(settings: Settings) -> FastAPI:
    """Return the app; nothing is opened before its lifespan begins."""
    app = create_app("opsledger tickets", settings, partial(_lifespan, settings))
    refuse_bad_values(app)
    for module in (api_events, api_tickets, api_reads, api_statistics, api_customers, api_levels, api_care):
        app.include_router(module.router)
    app.include_router(ledger_router(allow("ledger.read").dependency))
    app.include_router(read_models_router(allow("operations.read").dependency, allow("operations.rebuild").dependency))
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await _open(settings, app, stack)
        yield


async def _open(settings: Settings, app: FastAPI, stack: AsyncExitStack) -> None:
    await migrate(settings.database_url, "tickets")
    db = await Database.open(settings.database_url, size=12)
    stack.push_async_callback(db.close)
    app.state.authenticator = Authenticator(partial(load_trust, db))
    ledger = Ledger(db, "tickets", inline=write_rows, limit=settings.commit_limit_bytes)
    await ledger.open()
    app.state.ledger = ledger
    password = settings.nats_password.get_secret_value()
    nc = await connect(settings.nats_url, settings.nats_user, password, name="tickets")
    stack.push_async_callback(nc.close)
    await replay_erasures(db, nc, "tickets")
    owners = OwnerClient({"org": settings.org_url}, ServiceToken(settings))
    stack.push_async_callback(owners.close)

    async def fetch(name: str, after: int, limit: int) -> list[Commit]:
        return await (read_commits(db, name, after, limit) if name == "tickets" else owners.fetch(name, after, limit))

    async def head(name: str) -> int:
        return (await ledger.heads())["tickets"] if name == "tickets" else await owners.head(name)

    def reader(name: str) -> StreamReader:
        return StreamReader(nc, name, fetch)

    tickets = Tickets(settings, db, GroupCommitter(ledger), units=Units(partial(unit_tree, db)))
    app.state.tickets = tickets
    fresh = partial(projections, settings, tickets.vault)
    projectors = {one.name: Projector(db, one, reader) for one in fresh()}
    app.state.projectors = projectors
    app.state.read_models = models = ReadModels(db, projectors, lambda: {one.name: one for one in fresh()}, reader)
    app.state.timers = timers = TimerWorker(tickets)
    app.state.care = care = CareWorker(tickets)
    for projector in projectors.values():
        projector.start_over = start_over
    app.state.intake = intake = TicketIntake(tickets, Publishers(db, "organisation", "tickets"))
    messages = Messages(intake, settings, Receipts(nc, "tickets"), personal=True)
    relay = Relay(ledger, "tickets", nc)
    upkeep = CommandUpkeep(db, settings.command_days)
    parts: list[Part] = [relay, tickets.committer, *projectors.values(), models, timers, care, upkeep, messages]
    for part in parts:
        await run(stack, part)
    add_check(app, "relay", relay_check(relay))
    add_check(app, "messages", messages.check)
    for projector in projectors.values():
        spawn(stack, projector.watch_heads(head))
        add_check(app, projector.projection.name, lag_check(projector))
