"""The composition root of the org service: what is opened, in which order, and closed again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI

from services.kernel.auth import Authenticator, allow, load_trust
from services.kernel.bad_values import refuse_bad_values
from services.kernel.broker import BROKEN, connect
from services.kernel.committer import GroupCommitter
from services.kernel.database import Database
from services.kernel.errors import Unavailable
from services.kernel.ledger import Ledger
from services.kernel.ledger_api import ledger_router
from services.kernel.migrate import migrate
from services.kernel.parts import run, spawn
from services.kernel.relay import Relay
from services.kernel.settings import Settings
from services.kernel.upkeep import CommandUpkeep
from services.kernel.web import add_check, create_app
from services.org import api_commands, api_publishers, api_reads, api_tokens
from services.org.commanding import Org
from services.org.credentials import PasswordCheck
from services.org.keys import Signer, ensure_key
from services.org.nats_auth import AuthCallout, Kicker
from services.org.rows import restore, write_rows
from services.org.tokens import TokenIssuer

__all__ = ["create", "restore"]

log = logging.getLogger("opsledger.org")

NOT_YET: tuple[type[Exception], ...] = (Unavailable, *BROKEN)


def create(settings: Settings) -> FastAPI:
    """Return the app; everything is opened in its lifespan."""
    app = create_app("opsledger org", settings, partial(_lifespan, settings))
    refuse_bad_values(app)
    for module in (api_tokens, api_reads, api_commands, api_publishers):
        app.include_router(module.router)
    app.include_router(ledger_router(allow("ledger.read").dependency))
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await _open(settings, app, stack)
        yield


async def _open(settings: Settings, app: FastAPI, stack: AsyncExitStack) -> None:
    await migrate(settings.database_url, "org")
    db = await Database.open(settings.database_url, size=8)
    stack.push_async_callback(db.close)
    app.state.authenticator = Authenticator(partial(load_trust, db))
    ledger = Ledger(db, "org", inline=write_rows, limit=settings.commit_limit_bytes)
    await ledger.open()
    nc = await connect(settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value(), name="org")
    stack.push_async_callback(nc.close)
    relay = Relay(ledger, "org", nc)
    committer = GroupCommitter(ledger)
    await run(stack, relay)
    await run(stack, committer)
    await run(stack, CommandUpkeep(db, settings.command_days))
    kick = await _kicker(settings, stack)
    seed = settings.nats_issuer_seed.get_secret_value()
    if seed:
        await run(stack, AuthCallout(db, nc, seed, settings.nats_account, can_kick=kick is not None))
    signer, passwords = Signer(db), PasswordCheck()
    issuer = TokenIssuer(settings, db, signer, passwords)
    app.state.org = Org(settings, db, committer, signer, passwords, issuer, kick or _ends_by_itself)
    app.state.ledger = ledger
    spawn(stack, _first_key(committer, signer))
    add_check(app, "database", partial(_database_answers, db))
    add_check(app, "relay", partial(_relay_lag, ledger, relay))
    add_check(app, "signing key", partial(_signs, signer))


async def _kicker(settings: Settings, stack: AsyncExitStack) -> Callable[[str], Awaitable[None]] | None:
    """Return what cuts publishers off, where a user of the system account is configured."""
    if not settings.nats_system_user:
        return None
    password = settings.nats_system_password.get_secret_value()
    try:
        nc = await connect(settings.nats_url, settings.nats_system_user, password, name="org-system")
    except BROKEN as error:
        log.warning("no_system_connection", extra={"error": repr(error)})
        return None
    stack.push_async_callback(nc.close)
    return Kicker(nc, settings.nats_account)


async def _ends_by_itself(publisher: str) -> None:
    log.info("publisher_ends_by_itself", extra={"publisher": publisher})


async def _first_key(committer: GroupCommitter, signer: Signer) -> None:
    """Make the first signing key as soon as the ledger may be written: it is compared with its stream first."""
    while True:
        try:
            if await ensure_key(committer):
                log.info("first_signing_key_made")
        except NOT_YET:
            await asyncio.sleep(0.1)
        else:
            signer.forget()
            return


async def _database_answers(db: Database) -> Mapping[str, Any]:
    async with db.conn() as conn:
        await conn.fetchval("SELECT 1")
    return {}


async def _relay_lag(ledger: Ledger, relay: Relay) -> Mapping[str, Any]:
    head = (await ledger.heads())["org"]
    refusal = ledger.refusals.get("org")
    answer: dict[str, Any] = {"ready": relay.healthy and refusal is None, "head": head, "lag": head - relay.sent}
    return answer | ({"code": refusal.code, "remedy": refusal.remedy} if refusal else {})


async def _signs(signer: Signer) -> Mapping[str, Any]:
    key = await signer.current()
    return {"ready": key is not None, "key_id": key.key_id if key else None}
