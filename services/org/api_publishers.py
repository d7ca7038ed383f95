"""Routes of publishing systems: registered, given a token that is shown once, rotated, revoked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.org import PrincipalRevoked, PublisherTokenIssued
from services.kernel import clock
from services.kernel.auth import Access, allow
from services.kernel.ledger import Work
from services.kernel.web import IdempotencyKey, IfMatch, envelope, etag, expected_version, freshness
from services.org.api_tokens import org_of
from services.org.commanding import Asked, Changed, Org, Reads, answer, append_all, asked, change, submit
from services.org.credentials import new_token
from services.org.decisions import decide, unknown
from services.org.domain import Publisher, RegisterPublisher, RevokePublisher
from services.org.reading import decode_cursor, encode_cursor, snapshot
from services.org.rows import load, lock_decisions

router = APIRouter(prefix="/v1/publishers", tags=["publishers"])

ALREADY_ISSUED = "This publisher has a token; it is shown only once. POST .../token/rotation makes a new one."
COLUMNS = "p.publisher, p.title, p.types, p.sources, p.contexts, p.revoked, t.issued_at AS token_issued_at"


class PublisherBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = ""
    types: list[str] = Field(default=["*"], description='Activity types that it may send; "*" = all')
    sources: list[str] = Field(default_factory=list, description="CloudEvents sources; default: its own name")
    contexts: list[str] = ["activity"]


@router.get("", summary="Publishers")
async def publishers(
    request: Request,
    response: Response,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    at_least: str | None = None,
    access: Access = allow("publishers.read"),
) -> dict[str, Any]:
    (after,) = decode_cursor(cursor, 1)
    own = None if access.everything else access.principal.sub
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        rows = await conn.fetch(
            f"SELECT {COLUMNS} FROM publisher p LEFT JOIN publisher_token t USING (publisher)"
            " WHERE p.publisher > $1 AND ($3::text IS NULL OR p.publisher = $3) ORDER BY p.publisher LIMIT $2",
            after, limit + 1, own,
        )  # fmt: skip
    now = clock.now()
    freshness(response, positions, now)
    page = [dict(row) for row in rows[:limit]]
    more = encode_cursor(page[-1]["publisher"]) if len(rows) > limit else None
    return envelope(page, positions, now, next=more)


@router.get("/{publisher}", summary="One publisher")
async def one_publisher(
    request: Request,
    response: Response,
    publisher: str,
    at_least: str | None = None,
    access: Access = allow("publishers.read"),
) -> dict[str, Any]:
    if not access.everything and access.principal.sub != publisher:
        raise access.refuse(f"publisher {publisher}")
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        row = await conn.fetchrow(
            f"SELECT {COLUMNS} FROM publisher p LEFT JOIN publisher_token t USING (publisher) WHERE p.publisher = $1",
            publisher,
        )
        version = await conn.fetchval("SELECT version FROM aggregate WHERE id = $1", f"publisher:{publisher}")
    if row is None:
        raise unknown("publisher", publisher)
    now = clock.now()
    freshness(response, positions, now)
    etag(response, version)
    return envelope(dict(row), positions, now)


@router.put("/{publisher}", summary="Register a publisher or change what it may send; gives no token")
async def register(
    request: Request,
    response: Response,
    publisher: str,
    body: PublisherBody,
    access: Access = allow("publishers.manage"),
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    new = Publisher(publisher, body.title, tuple(body.types), tuple(body.sources), tuple(body.contexts))
    by = await asked(request, access, key, expected_version(if_match))
    done = await change(org_of(request), by, f"publisher:{publisher}", Reads(), RegisterPublisher(new))
    return answer(response, done)


@router.post("/{publisher}/token", summary="Issue the first token; shown once")
async def issue_token(
    request: Request,
    response: Response,
    publisher: str,
    access: Access = allow("publishers.manage"),
    key: IdempotencyKey = None,
) -> dict[str, Any]:
    response.headers["Cache-Control"] = "no-store"
    return await _issue(org_of(request), await asked(request, access, key), response, publisher, rotate=False)


@router.post(
    "/{publisher}/token/rotation", summary="Replace the token; the old one ends at once, the new is shown once"
)
async def rotate_token(
    request: Request,
    response: Response,
    publisher: str,
    access: Access = allow("publishers.manage"),
    key: IdempotencyKey = None,
) -> dict[str, Any]:
    response.headers["Cache-Control"] = "no-store"
    org = org_of(request)
    made = await _issue(org, await asked(request, access, key), response, publisher, rotate=True)
    if made["changed"]:
        await org.on_publisher_revoked(publisher)
    return made


async def _issue(org: Org, by: Asked, response: Response, publisher: str, *, rotate: bool) -> dict[str, Any]:
    """Make a token. A repetition says that there is one: the answer is never stored, so it cannot be shown again."""
    aggregate = f"publisher:{publisher}"

    async def already(work: Work) -> Changed:
        return Changed(False, await work.version(aggregate), {"token": None, "remedy": ALREADY_ISSUED})

    async def work(work: Work) -> Changed:
        await lock_decisions(work.conn)
        known = (await load(work.conn)).publishers.get(publisher)
        if known is None or known.revoked:
            raise unknown("publisher", publisher)
        has_token = await work.conn.fetchval("SELECT true FROM publisher_token WHERE publisher = $1", publisher)
        if has_token and not rotate:
            return await already(work)
        token, stored = new_token()
        await work.conn.execute(
            "INSERT INTO publisher_token (publisher, hash, issued_at) VALUES ($1, $2, $3)"
            " ON CONFLICT (publisher) DO UPDATE SET hash = $2, issued_at = $3",
            publisher, stored, work.now,
        )  # fmt: skip
        events = [PublisherTokenIssued(publisher=publisher)]
        await append_all(work, [*events, *([_void(publisher, work)] if has_token else [])])
        return Changed(True, await work.version(aggregate), {"token": token})

    return answer(response, await submit(org, by, work, already))


def _void(publisher: str, work: Work) -> PrincipalRevoked:
    return PrincipalRevoked(principal=f"publisher:{publisher}", before=work.now)


@router.delete("/{publisher}", summary="Revoke a publisher: its token, its bearer tokens and its connections end")
async def revoke(
    request: Request,
    response: Response,
    publisher: str,
    access: Access = allow("publishers.manage"),
    key: IdempotencyKey = None,
) -> dict[str, Any]:
    org = org_of(request)
    aggregate = f"publisher:{publisher}"

    async def work(work: Work) -> Changed:
        await lock_decisions(work.conn)
        events = decide(await load(work.conn), RevokePublisher(publisher))
        await work.conn.execute("DELETE FROM publisher_token WHERE publisher = $1", publisher)
        await append_all(work, [*events, *([_void(publisher, work)] if events else [])])
        return Changed(bool(events), await work.version(aggregate))

    async def repeated(work: Work) -> Changed:
        return Changed(False, await work.version(aggregate))

    done = await submit(org, await asked(request, access, key), work, repeated)
    await org.on_publisher_revoked(publisher)
    return answer(response, done)
