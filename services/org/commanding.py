"""How a request becomes a decision: load what it reads, decide, check the version, append. One transaction each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request, Response

from contracts.org import OrgEvent
from services.kernel import telemetry
from services.kernel.auth import Access
from services.kernel.commands import execute
from services.kernel.committer import Committed, GroupCommitter
from services.kernel.database import Database
from services.kernel.errors import Refusal, VersionConflict
from services.kernel.ledger import Work
from services.kernel.positions import render
from services.kernel.settings import Settings
from services.kernel.web import etag
from services.org.credentials import PasswordCheck
from services.org.decisions import decide
from services.org.domain import Command, Organisation, aggregate_of
from services.org.importing import OrganisationFile
from services.org.keys import Signer
from services.org.planning import Plan, plan
from services.org.reading import everything
from services.org.rows import load, lock_decisions
from services.org.tokens import TokenIssuer

T = TypeVar("T")
Revoked = Callable[[str], Awaitable[None]]


@dataclass
class Org:
    """What the routes work with; made by the composition root."""

    settings: Settings
    db: Database
    committer: GroupCommitter
    signer: Signer
    passwords: PasswordCheck
    issuer: TokenIssuer
    on_publisher_revoked: Revoked


@dataclass(frozen=True, slots=True)
class Reads:
    """The people and accounts that a decision reads, beside units, posts and publishers. None = all."""

    people: Collection[str] | None = ()
    accounts: Collection[tuple[str, str]] | None = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, for what, under which key, on which version."""

    access: Access
    route: str
    body: bytes = b""
    key: str | None = None
    version: int | None = None
    query: bytes = b""  # asks for something too: another one under a key is another request


@dataclass
class Changed:
    """The answer to a command: whether anything changed, and the version that stands now."""

    changed: bool = False
    version: int = 0
    more: dict[str, Any] = field(default_factory=dict)


async def asked(request: Request, access: Access, key: str | None, version: int | None = None) -> Asked:
    """Gather what a command needs of its request. The route with its ids is the key's scope."""
    route, query = f"{request.method} {request.url.path}", request.url.query
    return Asked(access, route, await request.body(), key, version, query.encode())


async def submit(
    org: Org,
    by: Asked,
    work: Callable[[Work], Awaitable[T]],
    repeated: Callable[[Work], Awaitable[T]] | None = None,
) -> Committed[T]:
    """Run a command once per idempotency key, on the caller's behalf."""
    return await execute(
        org.committer,
        work,
        principal=by.access.principal.id,
        route=by.route,
        key=by.key,
        body=by.query + b"\n" + by.body if by.query else by.body,
        retry_on_conflict=by.version is None,
        repeated=repeated,
        traceparent=telemetry.traceparent.get(),
    )


async def change(org: Org, by: Asked, aggregate: str, reads: Reads, command: Command) -> Committed[Changed]:
    """Decide one command about one aggregate. Raises its Refusals, and VersionConflict against If-Match."""

    async def work(work: Work) -> Changed:
        await lock_decisions(work.conn)
        version = await work.version(aggregate)
        if by.version is not None and by.version != version:
            raise VersionConflict(aggregate, by.version, version)
        organisation = await load(work.conn, people=reads.people, accounts=reads.accounts)
        events = decide(organisation, command)
        work.append(aggregate, version, events)
        return Changed(bool(events), version + len(events))

    async def repeated(work: Work) -> Changed:
        return Changed(False, await work.version(aggregate))

    return await submit(org, by, work, repeated)


def answer(response: Response, done: Committed[Changed], head: dict[str, int] | None = None) -> dict[str, Any]:
    """Return a command's answer, with the version as ETag and the position for `at_least`."""
    etag(response, done.value.version)
    positions = done.positions or head or {}
    response.headers["Opsledger-Position"] = render(positions)
    return {
        "changed": done.value.changed,
        "version": done.value.version,
        "positions": render(positions),
        **done.value.more,
    }


async def apply_file(
    org: Org, by: Asked, file: OrganisationFile, reason: str | None, refuse: Callable[[Plan], None]
) -> Committed[Plan]:
    """Apply a whole file as one decision, or nothing of it. `refuse` raises where the caller may not do all of it."""

    async def work(work: Work) -> Plan:
        await lock_decisions(work.conn)
        current = await everything(work.conn)
        planned = await asyncio.to_thread(plan, current, file, reason)  # a large one takes seconds
        refuse(planned)
        work.reason = reason
        await append_all(work, planned.events)
        return planned

    async def repeated(work: Work) -> Plan:
        return Plan()

    return await submit(org, by, work, repeated)


async def append_all(work: Work, events: list[OrgEvent]) -> None:
    """Append events of many aggregates, in order, each behind its aggregate's version."""
    names = [aggregate_of(event) for event in events]
    rows = await work.conn.fetch("SELECT id, version FROM aggregate WHERE id = ANY($1)", list(set(names)))
    versions = {row["id"]: row["version"] for row in rows}
    for name, event in zip(names, events, strict=True):
        version = versions.get(name, 0)
        work.append(name, version, [event])
        versions[name] = version + 1


async def dry_run(org: Org, file: OrganisationFile, reason: str | None) -> tuple[Plan, Organisation]:
    """Return what applying a file would change, without changing anything."""
    async with org.db.tx("repeatable_read", readonly=True) as conn:
        current = await everything(conn)
    return await asyncio.to_thread(plan, current, file, reason), current


def refuse_beyond(access: Access) -> Callable[[Plan], None]:
    """A check that the roles in a file are changed only by those who may change roles."""

    def check(planned: Plan) -> None:
        touched = any(change.kind == "person" and change.field == "roles" for change in planned.changes)
        if touched and not access.principal.may("roles.write"):
            raise Refusal(
                "not_allowed",
                f"{access.principal.id} may not change roles",
                status=403,
                field="people.roles",
                remedy="Leave the roles out, or have the director apply the file.",
            )

    return check
