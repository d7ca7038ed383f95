"""Reading care over HTTP: the due list of visits, needs, cases, reports, topics, projects, queues.

What is sealed is shown only where `customers.read` reaches, or to whom a need was handed over.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from contracts.access import scope_of
from services.kernel.auth import Access, allow
from services.kernel.clock import now
from services.kernel.database import Connection
from services.kernel.positions import parse
from services.kernel.projection import reading, wait_or_refuse
from services.kernel.web import envelope, etag, freshness
from services.tickets.api_care_rows import (
    CASES,
    NEEDS,
    REPORTS,
    VISITS,
    Listing,
    page_of,
    read_cursor,
    render,
    write_cursor,
)  # fmt: skip
from services.tickets.care_decisions_shared import unknown
from services.tickets.commanding import tickets_of

router = APIRouter(prefix="/v1", tags=["care: reads"])
READ = allow("tickets.read")
AtLeast = Annotated[str | None, Query(description='Wait for these positions: "tickets:17"')]
Limit = Annotated[int, Query(ge=1, le=1000)]
Text = Annotated[str | None, Query(max_length=200)]
Positions = dict[str, int]


@asynccontextmanager
async def snapshot(request: Request, at_least: str | None) -> AsyncIterator[tuple[Connection, Positions]]:
    """The read model of care, once it holds what `at_least` names."""
    tickets = tickets_of(request)

    async def head(ledger: str) -> int:
        return (await tickets.committer.ledger.heads())[ledger]

    if at_least:
        await wait_or_refuse(tickets.db, ("care",), parse(at_least), head)
    async with reading(tickets.db, "care") as found:
        yield found


async def _reach(request: Request, access: Access) -> list[str] | None:
    """Return the units that an access reaches; None = all."""
    return None if access.everything else sorted(await tickets_of(request).units.reached(access))


async def _shown(request: Request, access: Access) -> frozenset[str] | None:
    """Return the units whose customers' content the caller may see; None = all."""
    found = scope_of("customers.read", access.principal.roles)
    if found is None:
        return frozenset()
    units = await _reach(request, Access(access.principal, "customers.read", *found))
    return None if units is None else frozenset(units)


async def _list(
    request: Request, response: Response, listing: Listing, access: Access, at_least: str | None,
    filters: dict[str, Any], limit: int, cursor: str | None,
) -> dict[str, Any]:  # fmt: skip
    units, shown = await _reach(request, access), await _shown(request, access)
    me = access.principal.person
    async with snapshot(request, at_least) as (conn, positions):
        rows = await page_of(conn, listing, units, me, filters, limit, read_cursor(listing, cursor))
        data = await render(conn, listing, rows[:limit], shown, me)
    as_of = now()
    freshness(response, positions, as_of)
    more = write_cursor(listing, rows[limit - 1]) if len(rows) > limit else None
    return envelope(data, positions, as_of, next=more)


async def _one(
    request: Request, response: Response, listing: Listing, access: Access, at_least: str | None, name: str
) -> dict[str, Any]:
    units, shown = await _reach(request, access), await _shown(request, access)
    me = access.principal.person
    async with snapshot(request, at_least) as (conn, positions):
        rows = await page_of(conn, listing, units, me, {listing.key: name}, 1, None)
        if not rows:
            raise unknown(listing.name)
        [data] = await render(conn, listing, rows, shown, me)
    as_of = now()
    freshness(response, positions, as_of)
    etag(response, rows[0]["version"])
    return envelope(data, positions, as_of, version=rows[0]["version"])


@router.get("/visits", summary="Return visits by due day: the due list")
async def visits(
    request: Request, response: Response, state: Annotated[list[str] | None, Query(max_length=4)] = None,
    due_from: date | None = None, due_until: date | None = None, unit: Text = None, person: Text = None,
    customer: Text = None, project: Text = None, ticket: Text = None, rule: Text = None,
    limit: Limit = 100, cursor: Text = None, at_least: AtLeast = None, access: Access = READ,
) -> dict[str, Any]:  # fmt: skip
    """`state`: planned, missed, done, cancelled; the due list is `state=planned&state=missed`."""
    filters = {
        "state": state, "due >=": due_from, "due <=": due_until, "unit": unit, "person": person,
        "customer": customer, "project": project, "ticket": ticket, "rule": rule,
    }  # fmt: skip
    return await _list(request, response, VISITS, access, at_least, filters, limit, cursor)


@router.get("/visits/{visit}", summary="A return visit, with what came of it")
async def visit(
    request: Request, response: Response, visit: str, at_least: AtLeast = None, access: Access = READ
) -> dict[str, Any]:
    return await _one(request, response, VISITS, access, at_least, visit)


@router.get("/needs", summary="What customers need, newest first")
async def needs(
    request: Request, response: Response, state: Annotated[list[str] | None, Query(max_length=6)] = None,
    tag: Text = None, unit: Text = None, handed_to: Text = None, customer: Text = None, project: Text = None,
    ticket: Text = None, visit: Text = None, limit: Limit = 100, cursor: Text = None, at_least: AtLeast = None,
    access: Access = READ,
) -> dict[str, Any]:  # fmt: skip
    filters = {
        "state": state, "tags @>": [tag] if tag else None, "unit": unit, "handed_to": handed_to, "customer": customer,
        "project": project, "ticket": ticket, "visit": visit,
    }  # fmt: skip
    return await _list(request, response, NEEDS, access, at_least, filters, limit, cursor)


@router.get("/needs/{need}", summary="A need, with its text and what was decided")
async def need(
    request: Request, response: Response, need: str, at_least: AtLeast = None, access: Access = READ
) -> dict[str, Any]:
    return await _one(request, response, NEEDS, access, at_least, need)


@router.get("/cases", summary="Concentrations of complaints and what is done about them, newest first")
async def cases(
    request: Request, response: Response, state: Annotated[list[str] | None, Query(max_length=3)] = None,
    topic: Text = None, project: Text = None, month: Text = None, limit: Limit = 100, cursor: Text = None,
    at_least: AtLeast = None, access: Access = allow("statistics.read"),
) -> dict[str, Any]:  # fmt: skip
    filters = {"state": state, "topic": topic, "project": project, "month": month}
    return await _list(request, response, CASES, access, at_least, filters, limit, cursor)


@router.get("/cases/{case}", summary="A concentration case")
async def case(
    request: Request, response: Response, case: str, at_least: AtLeast = None,
    access: Access = allow("statistics.read"),
) -> dict[str, Any]:  # fmt: skip
    return await _one(request, response, CASES, access, at_least, case)


@router.get("/complaint-reports", summary="Monthly complaint reports, and whether they came in time")
async def reports(
    request: Request, response: Response, unit: Text = None, month: Text = None, limit: Limit = 100,
    cursor: Text = None, at_least: AtLeast = None, access: Access = allow("statistics.read"),
) -> dict[str, Any]:  # fmt: skip
    filters = {"unit": unit, "month": month}
    return await _list(request, response, REPORTS, access, at_least, filters, limit, cursor)


async def _all(request: Request, response: Response, at_least: str | None, query: str, *args: Any) -> dict[str, Any]:
    async with snapshot(request, at_least) as (conn, positions):
        data = [dict(row) for row in await conn.fetch(query, *args)]
    as_of = now()
    freshness(response, positions, as_of)
    return envelope(data, positions, as_of)


@router.get("/projects", summary="Projects")
async def projects(
    request: Request, response: Response, at_least: AtLeast = None, access: Access = READ
) -> dict[str, Any]:
    return await _all(request, response, at_least, "SELECT * FROM project ORDER BY project")


@router.get("/topics", summary="The tree of topics, as a list with parents")
async def topics(
    request: Request, response: Response, at_least: AtLeast = None, access: Access = READ
) -> dict[str, Any]:
    query = 'SELECT topic, name_zh, name_en, parent, place AS "order", retired, version FROM topic ORDER BY 5, 1'
    return await _all(request, response, at_least, query)


@router.get("/visit-rules", summary="The rules that schedule visits")
async def visit_rules(
    request: Request, response: Response, at_least: AtLeast = None, access: Access = READ
) -> dict[str, Any]:
    units = await _reach(request, access)
    query = "SELECT * FROM visit_rule WHERE $1::text[] IS NULL OR unit = ANY($1) ORDER BY rule"
    return await _all(request, response, at_least, query, units)


@router.get("/queues", summary="Saved searches: one's own and those of one's units")
async def queues(
    request: Request, response: Response, at_least: AtLeast = None, access: Access = READ
) -> dict[str, Any]:
    units, me = await _reach(request, access), access.principal.person or access.principal.id
    query = (
        "SELECT queue, name, owner, unit, query::text, version FROM saved_queue WHERE NOT deleted"
        " AND (owner = $2 OR (unit IS NOT NULL AND ($1::text[] IS NULL OR unit = ANY($1)))) ORDER BY name, queue"
    )
    found = await _all(request, response, at_least, query, units, me)
    for row in found["data"]:
        row["query"] = json.loads(row["query"])
    return found
