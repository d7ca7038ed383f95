"""Statistics over HTTP (handbook H-53): figures by month, project, topic, kind, unit or person, and their tickets.

With Pareto lists and concentrations. Cut to the units that the caller reaches; nothing in them was ever sealed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from contracts.service_levels import TicketKind
from services.kernel.auth import Access, allow
from services.kernel.clock import now
from services.kernel.errors import Refusal
from services.tickets import statistics_query as query
from services.tickets.api_reads import AtLeast, respond, snapshot
from services.tickets.commanding import tickets_of
from services.tickets.statistics_query import Asked, Figure, Grouping
from services.tickets.statistics_rules import PAST_MONTHS, concentrations, months_before, pareto

router = APIRouter(prefix="/v1/statistics", tags=["statistics"])
READ = allow("statistics.read")
Month = Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="2026-10")]
Since = Annotated[Month, Query(alias="from", description="first month")]
Until = Annotated[Month, Query(alias="to", description="last month")]
Name = Annotated[str | None, Query(max_length=200)]


async def asked_for(
    request: Request,
    since: Since,
    until: Until,
    project: Annotated[str | None, Query(max_length=200, description="`none`: of no project")] = None,
    topic: Annotated[str | None, Query(max_length=200, description="with every topic below; `none`: without")] = None,
    only_topic: Annotated[bool, Query(description="that very topic, without those below")] = False,
    kind: TicketKind | None = None,
    unit: Annotated[str | None, Query(max_length=200, description="with every unit below")] = None,
    only_unit: Annotated[bool, Query(description="that very unit, without those below")] = False,
    person: Name = None,
    access: Access = READ,
) -> Asked:
    """The filter that every answer of the statistics shares, within the caller's reach."""
    units = tickets_of(request).units
    reached = None if access.everything else await units.reached(access)
    below = await units.below([unit]) if unit is not None and not only_unit else None
    if below is not None and reached is not None and unit not in reached:
        raise access.refuse(f"unit {unit}")
    within = reached if below is None else below if reached is None else below & reached
    return Asked(since, until, project, topic, kind, unit if only_unit else None, within, person, only_topic)


Filtered = Annotated[Asked, Depends(asked_for)]


def _needs(asked: Asked) -> tuple[str, ...]:
    """Return the read models that a filter needs: the tree of topics is care's."""
    return ("statistics", "care") if asked.topic is not None else ("statistics",)


@router.get("", summary="Counts, times, reopenings, attainment and satisfaction, by one thing")
async def statistics(
    request: Request, asked: Filtered, by: Grouping = "month", at_least: AtLeast = None, access: Access = READ
) -> Response:
    """Openings count in the month in which they came, answers and resolutions in that in which they were given."""
    moment = now()
    async with snapshot(tickets_of(request), at_least, *_needs(asked)) as (conn, positions):
        return respond(await query.figures(conn, asked, by), positions, moment)


@router.get("/tickets", summary="The tickets behind a figure: the same filter, with the row's own key")
async def behind(
    request: Request,
    asked: Filtered,
    figure: Figure,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    at_least: AtLeast = None,
    access: Access = READ,
) -> Response:
    moment = now()
    async with snapshot(tickets_of(request), at_least, *_needs(asked)) as (conn, positions):
        total, rows, more = await query.behind(conn, asked, figure, limit, cursor)
        return respond(rows, positions, moment, total=total, next=more)


@router.get("/pareto", summary="What most of the openings are about, with the share that the first few make up")
async def most_frequent(
    request: Request,
    asked: Filtered,
    of: Literal["topic", "project", "kind", "unit"] = "topic",
    at_least: AtLeast = None,
    access: Access = READ,
) -> Response:
    moment = now()
    async with snapshot(tickets_of(request), at_least, *_needs(asked)) as (conn, positions):
        bars = pareto(await query.counts(conn, asked, of))
    data = [
        {
            "key": bar.key, "count": bar.count, "share": round(float(bar.share), 4),
            "cumulated": round(float(bar.cumulated), 4),
        }
        for bar in bars
    ]  # fmt: skip
    return respond(data, positions, moment)


@router.get("/concentrations", summary="Topics whose complaints of a month exceed what their own past explains")
async def concentrated(
    request: Request, month: Month, project: Name = None, at_least: AtLeast = None, access: Access = READ
) -> Response:
    """Poisson control limit of the mean of up to twelve months before, upper tail 0.00135; of the caller's units."""
    tickets, moment = tickets_of(request), now()
    if month < "0002":
        raise Refusal("bad_month", f"{month} has no past", status=422, field="month")
    units = None if access.everything else await tickets.units.reached(access)
    asked = Asked(months_before(month, PAST_MONTHS)[-1], month, project, units=units)
    async with snapshot(tickets, at_least, "statistics") as (conn, positions):
        counted = await query.complaints_by_topic(conn, asked)
        first = await query.first_month(conn)
    data: list[dict[str, Any]] = [
        {
            "topic": one.topic, "month": one.month, "count": one.count, "expected": str(one.expected),
            "limit": one.limit, "months": one.months,
        }
        for one in concentrations(counted, month, first or month)
    ]  # fmt: skip
    return respond(data, positions, moment)
