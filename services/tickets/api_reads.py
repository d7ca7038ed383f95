"""Reading tickets over HTTP: the board with search and queues, and one ticket with its timeline and clocks.

Every answer says at which positions it stands; `at_least` waits for what the caller has just written.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import AwareDatetime
from starlette.background import BackgroundTask

from contracts.customers import Side
from contracts.service_levels import Priority, TicketKind
from contracts.tickets import TicketState
from services.kernel.auth import Access, allow
from services.kernel.clock import now
from services.kernel.database import Connection
from services.kernel.errors import Refusal
from services.kernel.positions import parse, render
from services.kernel.projection import reading, wait_or_refuse
from services.kernel.web import envelope, etag, freshness
from services.tickets import export
from services.tickets.board_query import OPEN, Filter, Reach, Sort, conditions, headings, often_said, page_of, reach_of
from services.tickets.commanding import Tickets, tickets_of

router = APIRouter(prefix="/v1/tickets", tags=["tickets: reads"])
READ = allow("tickets.read")
EXPORT = allow("tickets.export")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
AtLeast = Annotated[str | None, Query(description='Wait for these positions: "tickets:17"')]
Text = Annotated[str | None, Query(max_length=200)]
_DETAIL = ("targets", "levels", "waiting_on", "waiting_until", "resolutions", "absorbed", "merged_into")


@asynccontextmanager
async def snapshot(
    tickets: Tickets, at_least: str | None, *projections: str
) -> AsyncIterator[tuple[Connection, dict[str, int]]]:
    """Read the projections in one snapshot, once they hold what `at_least` names."""
    await caught_up(tickets, at_least, *projections)
    async with reading(tickets.db, *projections) as found:
        yield found


async def caught_up(tickets: Tickets, at_least: str | None, *projections: str) -> None:
    """Wait until the projections hold what `at_least` names."""

    async def head(ledger: str) -> int:
        return (await tickets.committer.ledger.heads())[ledger]

    if at_least:
        await wait_or_refuse(tickets.db, projections, parse(at_least), head)


def respond(data: Any, positions: dict[str, int], as_of: datetime, **more: Any) -> Response:
    """Return a read answer. Encoded here: pages are large."""
    response = Response(msgspec.json.encode(envelope(data, positions, as_of, **more)), media_type="application/json")
    freshness(response, positions, as_of)
    return response


async def asked_for(
    request: Request,
    text: Text = None,
    customer: Text = None,
    state: Annotated[list[TicketState | Literal["active"]] | None, Query(description="active: not yet ended")] = None,
    assignee: Annotated[str | None, Query(max_length=200, description="a person, `me` or `none`")] = None,
    unit: Annotated[str | None, Query(max_length=200, description="with every unit below")] = None,
    kind: Annotated[list[TicketKind] | None, Query()] = None,
    topic: Annotated[str | None, Query(max_length=200, description="with every topic below")] = None,
    project: Text = None,
    channel: Text = None,
    priority: Priority | None = None,
    side: Side | None = None,
    overdue: bool | None = None,
    opened_since: AwareDatetime | None = None,
    opened_until: AwareDatetime | None = None,
) -> Filter:
    """The filter that a list, a queue and an export share; `me` is resolved by the route."""
    states = [one for named in state or () for one in (OPEN if named == "active" else (named,))]
    units = await tickets_of(request).units.below([unit]) if unit else None
    return Filter(
        text, customer, tuple(states), tuple(kind or ()), assignee, units, topic, project, channel, priority, side,
        overdue, opened_since, opened_until,
    )  # fmt: skip


Asked = Annotated[Filter, Depends(asked_for)]


@router.get("", summary="Tickets by text, customer, state, assignee, unit, kind, topic, project, overdue; in pages")
async def board(
    request: Request,
    asked: Asked,
    sort: Sort = "last_at",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    at_least: AtLeast = None,
    access: Access = READ,
) -> Response:
    tickets, moment = tickets_of(request), now()
    reach = await reach_of(tickets.units, access)
    asked = of_caller(asked, access)
    _refuse_blind_search(asked, reach, access)
    async with snapshot(tickets, at_least, *projections_for(asked)) as (conn, positions):
        where = conditions(asked, reach, moment, often=await often_said(conn, asked.text))
        rows, more = await page_of(conn, where, sort, limit, cursor)
        await headings(conn, rows, reach)
    for row in rows:
        show(row, moment)
    return respond(rows, positions, moment, next=more)


def _refuse_blind_search(asked: Filter, reach: Reach, access: Access) -> None:
    """Refuse (403) to look for words to whom may read none: finding is reading."""
    if asked.text is not None and reach.content is not None and not reach.content:
        raise access.refuse("what customers wrote")


def of_caller(asked: Filter, access: Access) -> Filter:
    """Return the filter with `me` as the one who asks."""
    if asked.assignee != "me":
        return asked
    changed = {**{name: getattr(asked, name) for name in Filter.__slots__}, "assignee": access.principal.person or ""}
    return Filter(**changed)


def projections_for(asked: Filter) -> tuple[str, ...]:
    """Return the read models that a filter needs: the tree of topics is care's."""
    return ("board", "care") if asked.topic is not None else ("board",)


def show(row: dict[str, Any], moment: datetime) -> None:
    """Turn a row of the board into its answer."""
    row["clocks"] = msgspec.Raw(row["clocks"].encode())
    row["overdue"] = row["due_at"] is not None and row["due_at"] < moment


@router.get("/export", summary="Tickets as CSV or XLSX, a row each; the same filter as the list")
async def exported(
    request: Request,
    asked: Asked,
    form: Annotated[Literal["csv", "xlsx"], Query(alias="format")] = "csv",
    at_least: AtLeast = None,
    access: Access = EXPORT,
) -> Response:
    tickets, moment = tickets_of(request), now()
    reach = await reach_of(tickets.units, access)
    asked = of_caller(asked, access)
    _refuse_blind_search(asked, reach, access)
    where = conditions(asked, reach, moment)
    models = ("statistics", *projections_for(asked))
    await caught_up(tickets, at_least, *models)  # before the first byte: then there is no refusing any more
    read = reading(tickets.db, *models)
    zone = tickets.settings.zone
    headers = {"Content-Disposition": f'attachment; filename="tickets.{form}"'}
    if form == "xlsx":
        async with read as (conn, positions):
            path = await export.as_xlsx(export.rows(conn, where, reach, zone))
        headers["Opsledger-Position"] = render(positions)
        return FileResponse(path, media_type=XLSX, headers=headers, background=BackgroundTask(path.unlink))

    async def lines() -> AsyncIterator[bytes]:
        async with read as (conn, _):
            async for line in export.as_csv(export.rows(conn, where, reach, zone)):
                yield line

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/{ticket}", summary="One ticket: as it stands, its clocks and everything that happened")
async def one(request: Request, ticket: str, at_least: AtLeast = None, access: Access = READ) -> Response:
    tickets, moment = tickets_of(request), now()
    reach = await reach_of(tickets.units, access)
    async with snapshot(tickets, at_least, "board") as (conn, positions):
        row = await _read(conn, ticket, reach, access)
        row["timeline"] = await _timeline(conn, ticket, visible=reach.reads(row["unit"]))
    show(row, moment)
    response = respond(row, positions, moment)
    etag(response, row["version"])
    return response


async def _read(conn: Connection, ticket: str, reach: Reach, access: Access) -> dict[str, Any]:
    found = await conn.fetchrow("SELECT *, clocks::text AS clocks FROM ticket WHERE ticket = $1", ticket)
    if found is None:
        raise Refusal(
            "ticket_unknown", f"there is no ticket {ticket}", status=404, field="ticket",
            remedy="Check its number; of one just opened, send `at_least` with the position that the answer gave.",
        )  # fmt: skip
    row = dict(found)
    if not reach.sees(row["unit"], row["assignee"]):
        raise access.refuse(f"ticket {ticket} of {row['unit']}")
    document = json.loads(row.pop("document"))
    del row["broken"]
    row |= {name: document[name] for name in _DETAIL}
    await headings(conn, [row], reach)
    return row


async def _timeline(conn: Connection, ticket: str, *, visible: bool) -> list[dict[str, Any]]:
    """Return what happened, in order; `content` is None where nothing was said, it was erased or may not be read."""
    rows = await conn.fetch(
        "SELECT version, type, at, by, data::text, (p.ticket IS NOT NULL AND $2) AS said, title, text,"
        " attachments::text FROM timeline t LEFT JOIN plaintext p USING (ticket, version)"
        " WHERE t.ticket = $1 ORDER BY version",
        ticket, visible,
    )  # fmt: skip
    return [
        {
            "version": row["version"], "type": row["type"], "at": row["at"], "by": row["by"],
            "data": msgspec.Raw(row["data"].encode()),
            "content": {
                "title": row["title"], "text": row["text"], "attachments": msgspec.Raw(row["attachments"].encode())
            } if row["said"] else None,
        }
        for row in rows
    ]  # fmt: skip
