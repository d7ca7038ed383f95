"""Routes that show the organisation: as of a day, and as lists with cursors. People as far as the caller may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.kernel import clock
from services.kernel.auth import Access, allow
from services.kernel.database import Connection
from services.kernel.web import envelope, etag, freshness
from services.org.api_tokens import org_of
from services.org.decisions import unknown
from services.org.reading import (
    account_dict,
    as_of_day,
    below,
    decode_cursor,
    encode_cursor,
    everything,
    people_page,
    person_dict,
    snapshot,
    unit_dict,
)
from services.org.rows import load, load_accounts, load_people

router = APIRouter(prefix="/v1", tags=["organisation"])

Limit = Annotated[int, Query(ge=1, le=1000)]


def _answer(response: Response, positions: dict[str, int], data: Any, **more: Any) -> dict[str, Any]:
    now = clock.now()
    freshness(response, positions, now)
    return envelope(data, positions, now, **more)


async def _visible(conn: Connection, access: Access) -> set[str] | None:
    """Return the units whose people the caller sees; None: all."""
    if access.everything:
        return None
    return below(await load(conn), access.units)


@router.get("/organisation", summary="Units, people and accounts as of a day")
async def organisation(
    request: Request,
    response: Response,
    on: date | None = None,
    at_least: str | None = None,
    access: Access = allow("org.read"),
) -> dict[str, Any]:
    org = org_of(request)
    day = on or clock.now().astimezone(org.settings.zone).date()
    async with snapshot(org.db, at_least) as (conn, positions):
        whole = await everything(conn)
    visible = None if access.everything else below(whole, access.units)
    return _answer(response, positions, as_of_day(whole, day, visible, access.principal.person))


@router.get("/units", summary="Units, retired ones included")
async def units(
    request: Request, response: Response, at_least: str | None = None, access: Access = allow("org.read")
) -> dict[str, Any]:
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        found = (await load(conn)).units.values()
    data = [unit_dict(unit) for unit in sorted(found, key=lambda unit: (unit.order, unit.unit))]
    return _answer(response, positions, data, next=None)


@router.get("/posts", summary="Posts")
async def posts(
    request: Request, response: Response, at_least: str | None = None, access: Access = allow("org.read")
) -> dict[str, Any]:
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        found = (await load(conn)).posts
    return _answer(response, positions, [asdict(found[key]) for key in sorted(found)], next=None)


@router.get("/roles", summary="Who has been granted which role")
async def roles(
    request: Request,
    response: Response,
    cursor: str | None = None,
    limit: Limit = 100,
    at_least: str | None = None,
    access: Access = allow("org.read"),
) -> dict[str, Any]:
    person, n = decode_cursor(cursor, 2)
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        visible = await _visible(conn, access)
        rows = await conn.fetch(
            "SELECT person, n, role, unit FROM role_grant WHERE (person, n) > ($1, $2)"
            " AND ($4::text[] IS NULL OR person = $5 OR person IN"
            " (SELECT person FROM membership WHERE unit = ANY($4))) ORDER BY person, n LIMIT $3",
            person, int(n or -1), limit + 1, list(visible) if visible is not None else None, access.principal.person,
        )  # fmt: skip
    data = [{"person": row["person"], "role": row["role"], "unit": row["unit"]} for row in rows[:limit]]
    more = encode_cursor(rows[limit - 1]["person"], str(rows[limit - 1]["n"])) if len(rows) > limit else None
    return _answer(response, positions, data, next=more)


@router.get("/people", summary="People with their memberships and absences")
async def people(
    request: Request,
    response: Response,
    unit: str | None = None,
    on: date | None = None,
    cursor: str | None = None,
    limit: Limit = 100,
    at_least: str | None = None,
    access: Access = allow("org.read"),
) -> dict[str, Any]:
    (after,) = decode_cursor(cursor, 1)
    own = access.principal.person if unit is None else None
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        wanted: Collection[str] | None = await _visible(conn, access)
        if unit is not None:
            asked_for = below(await load(conn), [unit])
            wanted = asked_for if wanted is None else asked_for & set(wanted)
        keys = await people_page(conn, units=wanted, day=on, own=own, after=after, limit=limit + 1)
        found = await load_people(conn, keys[:limit])
    data = [person_dict(person) for person in found.values()]
    more = encode_cursor(keys[limit - 1]) if len(keys) > limit else None
    return _answer(response, positions, data, next=more)


@router.get("/people/{person}", summary="One person; the ETag is what If-Match takes")
async def one_person(
    request: Request,
    response: Response,
    person: str,
    at_least: str | None = None,
    access: Access = allow("org.read"),
) -> dict[str, Any]:
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        visible = await _visible(conn, access)
        found = (await load_people(conn, [person])).get(person)
        version = await conn.fetchval("SELECT version FROM aggregate WHERE id = $1", f"person:{person}")
    if visible is not None and not access.own(person):
        in_sight = found is not None and any(item.unit in visible for item in found.memberships)
        if not in_sight:
            raise access.refuse(f"person {person}")
    if found is None:
        raise unknown("person", person)
    etag(response, version)
    return _answer(response, positions, person_dict(found))


@router.get("/accounts", summary="Accounts with the days of their registration and verification")
async def accounts(
    request: Request,
    response: Response,
    platform: str | None = None,
    owner: str | None = None,
    cursor: str | None = None,
    limit: Limit = 100,
    at_least: str | None = None,
    access: Access = allow("org.read"),
) -> dict[str, Any]:
    after = decode_cursor(cursor, 2)
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        visible = await _visible(conn, access)
        rows = await conn.fetch(
            "SELECT platform, handle FROM account WHERE (platform, handle) > ($1, $2)"
            " AND ($4::text IS NULL OR platform = $4) AND ($5::text IS NULL OR owner = $5)"
            " AND ($6::text[] IS NULL OR owner = $7 OR owner IN"
            " (SELECT person FROM membership WHERE unit = ANY($6))) ORDER BY platform, handle LIMIT $3",
            *after, limit + 1, platform, owner,
            list(visible) if visible is not None else None, access.principal.person,
        )  # fmt: skip
        keys = [(row["platform"], row["handle"]) for row in rows[:limit]]
        found = await load_accounts(conn, keys)
    data = [account_dict(account) for account in found.values()]
    return _answer(response, positions, data, next=encode_cursor(*keys[-1]) if len(rows) > limit else None)


@router.get("/accounts/{platform}/{handle:path}", summary="One account")
async def one_account(
    request: Request,
    response: Response,
    platform: str,
    handle: str,
    at_least: str | None = None,
    access: Access = allow("org.read"),
) -> dict[str, Any]:
    async with snapshot(org_of(request).db, at_least) as (conn, positions):
        visible = await _visible(conn, access)
        found = (await load_accounts(conn, [(platform, handle)])).get((platform, handle))
        version = await conn.fetchval("SELECT version FROM aggregate WHERE id = $1", f"account:{platform}/{handle}")
        if found is not None and visible is not None and not (found.owner and access.own(found.owner)):
            owner = (await load_people(conn, [found.owner])).get(found.owner) if found.owner else None
            if owner is None or not any(item.unit in visible for item in owner.memberships):
                raise access.refuse(f"account {platform}/{handle}")
    if found is None:
        raise unknown("account", f"{platform}/{handle}")
    etag(response, version)
    return _answer(response, positions, account_dict(found))
