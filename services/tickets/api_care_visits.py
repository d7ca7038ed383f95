"""Routes about return visits (H-52): scheduled, assigned, done, cancelled; and the rules that schedule them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.care import VisitTrigger
from contracts.customers import Content
from services.kernel.auth import Access, allow
from services.kernel.ledger import Work
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
from services.tickets.care_commands import AssignVisit, CancelVisit, DefineVisitRule, DoVisit, ScheduleVisit
from services.tickets.care_decisions_shared import unknown
from services.tickets.care_domain import Visit, VisitRule
from services.tickets.commanding import answer, asked, instant, tickets_of

router = APIRouter(prefix="/v1", tags=["care: return visits"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VisitBody(_Body):
    customer: Name
    due: date = Field(description="Missed when this local day has passed")
    unit: Name
    person: Name | None = None
    project: Name | None = None
    ticket: Name | None = None


class PersonBody(_Body):
    person: Name


class ResultBody(Written):
    """What came of the visit and what the customer needs."""

    satisfaction: int | None = Field(default=None, ge=1, le=5)


class CancellationBody(_Body):
    cause: Literal["by_hand", "customer_declined"] = "by_hand"


class RuleBody(_Body):
    trigger: VisitTrigger
    days: int = Field(ge=1, le=3660)
    project: Name | None = Field(default=None, description="Default: every project")
    customers: list[Name] = Field(default=[], max_length=2000, description="Visited although they had no ticket in it")
    unit: Name
    person: Name | None = None
    since: date


@router.post("/visits", summary="Schedule a return visit by hand")
async def schedule_visit(
    request: Request, response: Response, body: VisitBody,
    access: Access = allow("visits.work"), key: IdempotencyKey = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key)

    async def make(name: str, work: Work) -> ScheduleVisit:
        await check_customer(work, body.customer, ticket=body.ticket)
        await refuse_unknown_project(work, body.project)
        return ScheduleVisit(visit=name, rule=None, by=by.by, at=instant(work), **body.model_dump())

    return answer(response, await begin_care(tickets_of(request), by, "visit", body.unit, make))


@router.post("/visits/{visit}/assignment", summary="Give a visit to a person")
async def assign_visit(
    request: Request, response: Response, visit: str, body: PersonBody,
    access: Access = allow("visits.work"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def make(_: Visit | None, work: Work) -> AssignVisit:
        return AssignVisit(body.person, by.by, instant(work))

    return answer(response, await change_care(tickets_of(request), by, f"visit:{visit}", make))


@router.post("/visits/{visit}/result", summary="Record that a visit took place, with what came of it")
async def do_visit(
    request: Request, response: Response, visit: str, body: ResultBody,
    access: Access = allow("visits.work"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))
    content: Content = body.content()

    async def make(state: Visit | None, work: Work) -> DoVisit:
        if state is None:
            raise unknown("visit")
        sealed = await seal(tickets, work, state.customer, content)
        return DoVisit(sealed, body.satisfaction, by.by, instant(work))

    return answer(response, await change_care(tickets, by, f"visit:{visit}", make))


@router.post("/visits/{visit}/cancellation", summary="Cancel a visit that has not taken place")
async def cancel_visit(
    request: Request, response: Response, visit: str, body: CancellationBody,
    access: Access = allow("visits.work"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def make(_: Visit | None, work: Work) -> CancelVisit:
        return CancelVisit(body.cause, by.by, instant(work))

    return answer(response, await change_care(tickets_of(request), by, f"visit:{visit}", make))


@router.put("/visit-rules/{rule}", summary="Define a rule that schedules visits, or change it from tomorrow on")
async def define_rule(
    request: Request, response: Response, rule: str, body: RuleBody,
    access: Access = allow("topics.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))
    await refuse_unit(tickets, by, body.unit)

    async def make(_: VisitRule | None, work: Work) -> DefineVisitRule:
        await refuse_unknown_project(work, body.project)
        for customer in body.customers:
            await check_customer(work, customer)
        said = body.model_dump() | {"customers": tuple(body.customers)}
        return DefineVisitRule(VisitRule(rule=rule, ended=False, at=instant(work), **said), by.by)

    return answer(response, await change_care(tickets, by, f"visit_rule:{rule}", make))


@router.post("/visit-rules/{rule}/end", summary="End a rule; its visits from tomorrow on are given up")
async def end_rule(
    request: Request, response: Response, rule: str,
    access: Access = allow("topics.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def make(state: VisitRule | None, work: Work) -> DefineVisitRule:
        if state is None:
            raise unknown("rule")
        return DefineVisitRule(replace(state, ended=True, at=instant(work)), by.by)

    return answer(response, await change_care(tickets_of(request), by, f"visit_rule:{rule}", make))
