"""Reading figures over HTTP: attainments, a unit's table, trends, and the activities behind a figure.

Every answer says at which positions it stands; `at_least` waits for what the caller has just written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from contracts.kpi import ScopeKind
from services.kernel.auth import Access, allow
from services.kernel.errors import Refusal
from services.kernel.positions import parse, render
from services.kernel.web import freshness
from services.kpi import rendering
from services.kpi.context import Kpi, kpi_of
from services.kpi.explain import expected
from services.kpi.facts import Period, periods_touching
from services.kpi.figures import PROJECTIONS, Snapshot
from services.kpi.policies import for_period
from services.kpi.reach import may_see, may_see_person, may_see_unit
from services.kpi.rules_evidence import evidence
from services.kpi.rules_rows import periods, scopes
from services.kpi.table import table_of

router = APIRouter(prefix="/v1", tags=["figures"])

AtLeast = Annotated[str | None, Query(description='Wait for these positions: "org:17,activity.0:3"')]
PeriodText = Annotated[str, Query(description="2026-10 | 2026-W43 | 2026-10-17")]
READ = allow("figures.read")
MOST_PERIODS = 400


def answer(at: Snapshot, data: Any, period: Period | None = None) -> Response:
    """Return a read answer: the data, and in body and headers how fresh it is. Encoded here: tables are large.

    Of one period it says under which policy version that is assessed, and which one waits for the next.
    """
    body = {"data": data, "positions": render(at.positions), "as_of": at.as_of.isoformat()}
    if period is not None:
        body["policy"] = rendering.assessed_under(at.policies, period)
    if at.held:
        body["held"] = at.held  # events that could not be applied: see /v1/projections
    response = Response(msgspec.json.encode(body), media_type="application/json")
    freshness(response, at.positions, at.as_of)
    return response


async def caught_up(kpi: Kpi, at_least: str | None) -> None:
    """Wait until the figures hold what `at_least` names."""
    if at_least:
        await kpi.wait_for(PROJECTIONS, parse(at_least))


@router.get("/attainments", summary="Figures of a scope in a period")
async def attainments(
    request: Request,
    period: PeriodText,
    scope: ScopeKind = "person",
    scope_id: Annotated[str | None, Query(alias="id", description="number | platform/handle | A+B | unit")] = None,
    quota: str | None = None,
    at_least: AtLeast = None,
    access: Access = READ,
) -> Response:
    """One id's figures, or without `id` every row of the scope that the caller may see."""
    kpi = kpi_of(request)
    asked = rendering.period(period)
    await caught_up(kpi, at_least)
    async with kpi.figures.snapshot() as at:
        if scope_id is not None:
            scope_id = pair_order(scope, scope_id)
            _check(access, scope, scope_id, at, asked)
            found = await kpi.figures.of_one(at, scope, scope_id, asked, quota, rows_only=True)
        else:
            found = [
                one
                for one in await kpi.figures.of_people(at, scope, asked, None)
                if quota in (None, one.quota) and may_see(access, scope, one.id, at.roster, asked)
            ]
        version = for_period(at.policies, asked)
        return answer(at, [rendering.figure(one, version, at.roster) for one in found], asked)


@router.get("/table", summary="A unit's people and their figures, with the unit's totals")
async def table(
    request: Request,
    period: PeriodText,
    unit: str,
    at_least: AtLeast = None,
    access: Access = READ,
) -> Response:
    """People x quotas; people without activity have zeros. Only people that the caller may see have a row."""
    kpi = kpi_of(request)
    asked = rendering.period(period)
    await caught_up(kpi, at_least)
    async with kpi.figures.snapshot() as at:
        _known_unit(at, unit)
        if not may_see_unit(access, unit, at.roster) and not may_see(access, "unit", unit, at.roster, asked):
            raise access.refuse(f"unit {unit}")
        data = await table_of(kpi.figures, at, unit, asked)
        if not access.everything:
            seen = [r for r in data["rows"] if may_see_person(access, r["person"], at.roster, asked)]
            data = {**data, "rows": seen}
        return answer(at, data, asked)


@router.get("/trend", summary="One figure over a run of periods")
async def trend(
    request: Request,
    quota: str,
    scope: ScopeKind,
    scope_id: Annotated[str, Query(alias="id")],
    since: Annotated[str, Query(alias="from", description="first period")],
    until: Annotated[str, Query(alias="to", description="last period, of the same kind")],
    at_least: AtLeast = None,
    access: Access = READ,
) -> Response:
    """The figure of each period from `from` to `to`, oldest first."""
    kpi = kpi_of(request)
    run = _run(since, until)
    scope_id = pair_order(scope, scope_id)
    await caught_up(kpi, at_least)
    async with kpi.figures.snapshot() as at:
        data: list[dict[str, Any]] = []
        for period in run:
            _check(access, scope, scope_id, at, period)
            version = for_period(at.policies, period)
            found = await kpi.figures.of_one(at, scope, scope_id, period, quota)
            data += [rendering.figure(one, version, at.roster) for one in found]
        return answer(at, data)


@router.get("/explain", summary="The very activities behind a figure")
async def explain(
    request: Request,
    quota: str,
    scope: ScopeKind,
    scope_id: Annotated[str, Query(alias="id")],
    period: PeriodText,
    person: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: str | None = None,
    at_least: AtLeast = None,
    access: Access = READ,
) -> Response:
    """Evidence at the figure's own positions, so that it sums to the figure. `person`: whose account row is meant."""
    kpi = kpi_of(request)
    asked = rendering.period(period)
    scope_id = pair_order(scope, scope_id)
    await caught_up(kpi, at_least)
    async with kpi.figures.snapshot() as at:
        _check(access, scope, scope_id, at, asked)
        version = for_period(at.policies, asked)
        found = await kpi.figures.of_one(at, scope, scope_id, asked, quota)
        shown = [one for one in found if person in (None, one.person)]
        rule = version.quota(quota) if version else None
        if rule is None or scope not in scopes(rule) or asked.kind not in periods(rule):
            raise Refusal("unknown_figure", f"{quota} has no such figure", status=404, field="quota")
        facts = await kpi.figures.facts_for(at, scope, scope_id, asked)
        whose = person or (shown[0].person if len(shown) == 1 else None)
        selectors = evidence(rule, scope, scope_id, asked, facts, at.roster.organisation, whose)
        should = expected(selectors, facts)
        data: dict[str, Any] = {"figures": [rendering.figure(one, version, at.roster) for one in shown]}
    data |= {"selectors": selectors, "quantity": should, "rows": [], "total_quantity": 0, "total_events": 0}
    if selectors:
        authorization = request.headers.get("authorization", "")
        data |= _rows(await kpi.evidence.ask(selectors, at.positions, authorization, limit, cursor))
    data["sums"] = data["total_quantity"] == should
    return answer(at, data, asked)


def _rows(found: dict[str, Any]) -> dict[str, Any]:
    rows = found.get("rows", found.get("data", []))
    totals = {key: found.get(key, 0) for key in ("total_quantity", "total_events")}
    return {"rows": rows, **totals, "next": found.get("next", found.get("cursor"))}


def pair_order(scope: ScopeKind, scope_id: str) -> str:
    """Return a pair's id with its two people in order; other ids as they are."""
    if scope == "pair":
        people = scope_id.split("+")
        if len(people) != 2 or not all(people):
            raise Refusal("bad_pair", "a pair is two staff numbers", status=422, field="id", remedy="Write A+B (%2B).")
        return "+".join(sorted(people))
    if scope == "account" and "/" not in scope_id:
        raise Refusal("bad_account", "no platform", status=422, field="id", remedy="Write platform/handle (%2F).")
    return scope_id


def _check(access: Access, scope: ScopeKind, scope_id: str, at: Snapshot, period: Period) -> None:
    if scope == "unit":
        _known_unit(at, scope_id)
    if not may_see(access, scope, scope_id, at.roster, period):
        raise access.refuse(f"{scope} {scope_id}")


def _known_unit(at: Snapshot, unit: str) -> None:
    if unit not in at.roster.units:
        raise Refusal(
            "unknown_unit", f"there is no unit {unit!r}", status=404, field="unit",
            remedy="Ask org's /v1/organisation for the units' names.",
        )  # fmt: skip


def _run(since: str, until: str) -> Sequence[Period]:
    first, last = rendering.period(since, "from"), rendering.period(until, "to")
    if first.kind != last.kind or first.first > last.first:
        raise Refusal(
            "bad_range", "from and to are periods of one kind, in order", status=422, field="to",
            remedy="Write from=2026-01&to=2026-10.",
        )  # fmt: skip
    if (last.first - first.first) // first.length > MOST_PERIODS:
        raise Refusal("range_too_long", f"at most {MOST_PERIODS} periods", status=422, field="to")
    return periods_touching(first.kind, date.fromordinal(first.first), date.fromordinal(last.last))
