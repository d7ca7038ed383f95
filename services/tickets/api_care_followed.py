"""Routes about what is followed to its end: needs (H-60), concentration cases and monthly complaint reports (H-53)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.care import NeedOutcome
from services.kernel.auth import Access, allow
from services.kernel.ledger import Work
from services.kernel.projection import reading
from services.kernel.web import IdempotencyKey, IfMatch, expected_version
from services.tickets.api_tickets import Name, Written
from services.tickets.care_commanding import (
    begin_care,
    change_care,
    check_customer,
    refuse_unit,
    refuse_unknown_project,
    seal,
)
from services.tickets.care_commands import (
    CollectNeed,
    CoordinateCase,
    DecideNeed,
    EndCase,
    HandOverNeed,
    SubmitReport,
    TagNeed,
)
from services.tickets.care_counts import complaints_of
from services.tickets.care_decisions_followed import month_over
from services.tickets.care_decisions_shared import unknown
from services.tickets.care_domain import Case, Need, Report
from services.tickets.commanding import answer, asked, instant, tickets_of

router = APIRouter(prefix="/v1", tags=["care: needs, cases, reports"])
NEEDS = allow("needs.work")

Tags = Annotated[list[str], Field(max_length=20)]
LongText = Annotated[str, Field(max_length=5000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NeedBody(Written):
    customer: Name
    unit: Name
    ticket: Name | None = None
    visit: Name | None = None
    project: Name | None = None
    tags: Tags = Field(default_factory=list)


class TagsBody(_Body):
    tags: Tags


class ToBody(_Body):
    to: Name = Field(description="The product manager")


class DecisionBody(_Body):
    outcome: NeedOutcome
    text: Annotated[str, Field(min_length=1, max_length=100_000)] | None = None


class CoordinationBody(_Body):
    person: Name
    unit: Name
    guidance: LongText = Field(description="About the topic; names no customer")


class EndBody(_Body):
    outcome: Literal["solved", "no_cause_found", "accepted"]
    findings: LongText = ""


class ReportBody(_Body):
    remarks: LongText = ""


@router.post("/needs", summary="Collect what a customer needs, from a ticket, a visit, or as it came")
async def collect_need(
    request: Request, response: Response, body: NeedBody, access: Access = NEEDS, key: IdempotencyKey = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key)
    content = body.content()

    async def make(name: str, work: Work) -> CollectNeed:
        await check_customer(work, body.customer, ticket=body.ticket, visit=body.visit)
        await refuse_unknown_project(work, body.project)
        sealed = await seal(tickets, work, body.customer, content)
        return CollectNeed(
            name, body.customer, body.ticket, body.visit, body.project, tuple(body.tags), sealed, body.unit, by.by,
            instant(work),
        )  # fmt: skip

    return answer(response, await begin_care(tickets, by, "need", body.unit, make))


@router.put("/needs/{need}/tags", summary="Replace a need's tags")
async def tag_need(
    request: Request, response: Response, need: str, body: TagsBody,
    access: Access = NEEDS, key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def make(_: Need | None, work: Work) -> TagNeed:
        return TagNeed(tuple(body.tags), by.by, instant(work))

    return answer(response, await change_care(tickets_of(request), by, f"need:{need}", make))


@router.post("/needs/{need}/hand-over", summary="Hand a need to the product manager, who may read it from then on")
async def hand_over_need(
    request: Request, response: Response, need: str, body: ToBody,
    access: Access = NEEDS, key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def make(_: Need | None, work: Work) -> HandOverNeed:
        return HandOverNeed(body.to, by.by, instant(work))

    return answer(response, await change_care(tickets_of(request), by, f"need:{need}", make))


@router.post("/needs/{need}/decision", summary="Say what becomes of a need; declined and delivered end it")
async def decide_need(
    request: Request, response: Response, need: str, body: DecisionBody,
    access: Access = NEEDS, key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))
    content = Written(text=body.text).content() if body.text else None

    async def make(state: Need | None, work: Work) -> DecideNeed:
        if state is None:
            raise unknown("need")
        sealed = await seal(tickets, work, state.customer, content) if content else None
        return DecideNeed(body.outcome, sealed, by.by, instant(work))

    return answer(response, await change_care(tickets, by, f"need:{need}", make))


@router.post("/cases/{case}/coordination", summary="Say who takes a concentration in hand, and the guidance")
async def coordinate_case(
    request: Request, response: Response, case: str, body: CoordinationBody,
    access: Access = allow("cases.coordinate"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))
    await refuse_unit(tickets, by, body.unit)

    async def make(_: Case | None, work: Work) -> CoordinateCase:
        return CoordinateCase(body.person, body.unit, body.guidance, by.by, instant(work))

    return answer(response, await change_care(tickets, by, f"case:{case}", make))


@router.post("/cases/{case}/end", summary="End a case with what was found")
async def end_case(
    request: Request, response: Response, case: str, body: EndBody,
    access: Access = allow("cases.coordinate"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def make(_: Case | None, work: Work) -> EndCase:
        return EndCase(body.outcome, body.findings, by.by, instant(work))

    return answer(response, await change_care(tickets_of(request), by, f"case:{case}", make))


@router.post("/complaint-reports/{unit}/{month}", summary="Hand in a unit's monthly complaint report")
async def submit_report(
    request: Request, response: Response, unit: str, month: str, body: ReportBody,
    access: Access = allow("reports.submit"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    """The figure is what the statistics show of the unit and all below it; the positions behind it are kept with it."""
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))
    await refuse_unit(tickets, by, unit)
    month_over(month)  # refuses what is no month
    async with reading(tickets.db, "statistics") as (conn, positions):
        complaints = await complaints_of(conn, await tickets.units.below([unit]), month)

    async def make(_: Report | None, work: Work) -> SubmitReport:
        return SubmitReport(unit, month, complaints, body.remarks, positions, by.by, instant(work))

    done = await change_care(tickets, by, f"report:{unit}:{month}", make)
    return answer(response, done)
