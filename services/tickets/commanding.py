"""How a request becomes a decision: load the aggregate, decide, check the version, append. One transaction each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel

from services.kernel import telemetry
from services.kernel.auth import Access, Principal
from services.kernel.codec import Envelope, decode_events
from services.kernel.commands import execute
from services.kernel.committer import Committed, GroupCommitter
from services.kernel.database import Database, fetch_one
from services.kernel.errors import VersionConflict
from services.kernel.ledger import Work
from services.kernel.positions import render
from services.kernel.settings import Settings
from services.kernel.web import etag
from services.tickets.levels import LevelBook
from services.tickets.reach import Units
from services.tickets.sealing import Vault
from services.tickets.store import Numbered, next_id

T = TypeVar("T")
Decide = Callable[[Sequence[Envelope], Work], Awaitable[Sequence[BaseModel]]]
Create = Callable[[str, Work], Awaitable[Sequence[BaseModel]]]


@dataclass
class Tickets:
    """What the routes work with; made by the composition root, found in `app.state.tickets`."""

    settings: Settings
    db: Database
    committer: GroupCommitter
    vault: Vault = field(default_factory=Vault)
    levels: LevelBook = field(default_factory=LevelBook)
    units: Units = field(default_factory=Units)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, for what, under which key, on which version."""

    access: Access
    route: str
    body: bytes = b""
    key: str | None = None
    version: int | None = None
    query: bytes = b""  # asks for something too: another one under a key is another request

    @property
    def by(self) -> str:
        """Who did it, as events say: the staff number of a person, else "publisher:<name>", "service:<name>"."""
        return name_of(self.access.principal)


@dataclass
class Changed:
    """The answer to a command: whether anything changed, and the version that stands now."""

    changed: bool = False
    version: int = 0
    more: dict[str, Any] = field(default_factory=dict)


def tickets_of(request: Request) -> Tickets:
    """Return the running service of a request."""
    found: Tickets = request.app.state.tickets
    return found


def name_of(principal: Principal) -> str:
    """Return what events call a principal."""
    return principal.person or principal.id


def instant(work: Work) -> datetime:
    """Return the moment of a decision: whole seconds, as all of the clocks' arithmetic is."""
    return work.now.replace(microsecond=0)


async def asked(request: Request, access: Access, key: str | None, version: int | None = None) -> Asked:
    """Gather what a command needs of its request. The route with its ids is the key's scope."""
    route, query = f"{request.method} {request.url.path}", request.url.query
    return Asked(access, route, await request.body(), key, version, query.encode())


async def submit(
    tickets: Tickets,
    by: Asked,
    work: Callable[[Work], Awaitable[T]],
    repeated: Callable[[Work], Awaitable[T]] | None = None,
) -> Committed[T]:
    """Run a command once per idempotency key, on the caller's behalf."""
    return await execute(
        tickets.committer,
        work,
        principal=by.access.principal.id,
        route=by.route,
        key=by.key,
        body=by.query + b"\n" + by.body if by.query else by.body,
        retry_on_conflict=by.version is None,
        repeated=repeated,
        traceparent=telemetry.traceparent.get(),
    )


async def change(tickets: Tickets, by: Asked, aggregate: str, decide: Decide) -> Committed[Changed]:
    """Decide one command about one aggregate. Raises its Refusals, and VersionConflict against If-Match."""

    async def work(work: Work) -> Changed:
        return await append_decided(work, aggregate, decide, by.version)

    async def repeated(work: Work) -> Changed:
        return Changed(False, await work.version(aggregate))

    return await submit(tickets, by, work, repeated)


async def append_decided(work: Work, aggregate: str, decide: Decide, expected: int | None = None) -> Changed:
    """Load an aggregate, decide and append, within a decision that may hold more."""
    events, version = await work.load(aggregate)
    if expected is not None and expected != version:
        raise VersionConflict(aggregate, expected, version)
    decided = await decide(events, work)
    work.append(aggregate, version, decided)
    return Changed(bool(decided), version + len(decided))


async def create(tickets: Tickets, by: Asked, kind: Numbered, decide: Create) -> Committed[Changed]:
    """Decide what begins an aggregate under a fresh id, which the answer names: {"ticket": "T1042"}."""

    async def work(work: Work) -> Changed:
        name = await next_id(work.conn, kind)
        events = await decide(name, work)
        work.append(f"{kind}:{name}", 0, events)
        return Changed(bool(events), len(events), {kind: name})

    async def repeated(work: Work) -> Changed:
        name = await first_made(work, kind)
        return Changed(False, await work.version(f"{kind}:{name}"), {kind: name})

    return await submit(tickets, by, work, repeated)


async def first_made(work: Work, kind: str) -> str | None:
    """Return the id that the decision which this one repeats gave to what it began; None: it began nothing."""
    if work.repeats is None:
        return None
    draft = work.earlier.get(work.repeats)  # of this very group: it is in no table yet
    if draft is not None:
        body, encoding = draft.body, draft.encoding
    else:
        row = await fetch_one(work.conn, "SELECT body, encoding FROM ledger_commit WHERE ref = $1", work.repeats)
        body, encoding = row["body"], row["encoding"]
    begun = (e.aggregate for e in decode_events(body, encoding) if e.aggregate and e.aggregateversion == 1)
    return next((name.partition(":")[2] for name in begun if name.startswith(f"{kind}:")), None)


def answer(response: Response, done: Committed[Changed]) -> dict[str, Any]:
    """Return a command's answer, with the version as ETag and the position for `at_least`."""
    etag(response, done.value.version)
    response.headers["Opsledger-Position"] = render(done.positions)
    return {
        "changed": done.value.changed,
        "version": done.value.version,
        "positions": render(done.positions),
        **done.value.more,
    }
