"""Routes that change the organisation: units, posts, people, accounts; and whole files."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.org import Absence, Membership, RoleGrant, UnitKind, Validity
from services.kernel.auth import Access, allow
from services.kernel.positions import render
from services.kernel.web import IdempotencyKey, IfMatch, expected_version
from services.org.api_tokens import org_of
from services.org.commanding import Asked, Reads, answer, apply_file, asked, change, dry_run, refuse_beyond
from services.org.domain import (
    Account,
    ChangeAbsences,
    ChangeMemberships,
    ChangeRoles,
    DefinePost,
    DefineUnit,
    Post,
    RegisterAccount,
    RegisterPerson,
    RetireUnit,
    Unit,
)
from services.org.importing import read_file
from services.org.planning import Plan

router = APIRouter(prefix="/v1", tags=["organisation: changes"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UnitBody(_Body):
    kind: UnitKind
    name_zh: str
    name_en: str
    parent: str | None = None
    order: int = 0


class RetirementBody(_Body):
    on: date = Field(description="The last day that the unit is there")


class PostBody(_Body):
    name_zh: str
    name_en: str
    unit: str | None = None


class PersonBody(_Body):
    name: str


class MembershipsBody(_Body):
    memberships: list[Membership]
    reason: str | None = Field(default=None, max_length=500)


class AbsencesBody(_Body):
    absences: list[Absence]
    reason: str | None = Field(default=None, max_length=500)


class RolesBody(_Body):
    roles: list[RoleGrant]


class AccountBody(_Body):
    owner: str | None = None
    client: str | None = None
    registered: list[Validity]
    verified: list[Validity] = []


@router.put("/units/{unit}", summary="Define a unit, or rename or move it")
async def define_unit(
    request: Request, response: Response, unit: str, body: UnitBody,
    access: Access = allow("org.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))
    command = DefineUnit(Unit(unit, **body.model_dump()))
    return answer(response, await change(org_of(request), by, f"unit:{unit}", Reads(), command))


@router.post("/units/{unit}/retirement", summary="Retire a unit after a day")
async def retire_unit(
    request: Request, response: Response, unit: str, body: RetirementBody,
    access: Access = allow("org.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))
    done = await change(org_of(request), by, f"unit:{unit}", Reads(people=None), RetireUnit(unit, body.on))
    return answer(response, done)


@router.put("/posts/{post}", summary="Define a post")
async def define_post(
    request: Request, response: Response, post: str, body: PostBody,
    access: Access = allow("org.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))
    command = DefinePost(Post(post, **body.model_dump()))
    return answer(response, await change(org_of(request), by, f"post:{post}", Reads(), command))


@router.put("/people/{person}", summary="Register a person under a staff number, or rename")
async def register_person(
    request: Request, response: Response, person: str, body: PersonBody,
    access: Access = allow("org.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))
    return await _change_person(request, response, by, person, RegisterPerson(person, body.name))


@router.put("/people/{person}/memberships", summary="Replace the list of memberships, backdated ones included")
async def change_memberships(
    request: Request, response: Response, person: str, body: MembershipsBody,
    access: Access = allow("org.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))
    command = ChangeMemberships(person, tuple(body.memberships), body.reason)
    return await _change_person(request, response, by, person, command)


@router.put("/people/{person}/absences", summary="Replace the list of absences")
async def change_absences(
    request: Request, response: Response, person: str, body: AbsencesBody,
    access: Access = allow("org.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))
    command = ChangeAbsences(person, tuple(body.absences), body.reason)
    return await _change_person(request, response, by, person, command)


@router.put("/people/{person}/roles", summary="Replace the roles granted to a person")
async def change_roles(
    request: Request, response: Response, person: str, body: RolesBody,
    access: Access = allow("roles.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))
    return await _change_person(request, response, by, person, ChangeRoles(person, tuple(body.roles)))


async def _change_person(
    request: Request, response: Response, by: Asked, person: str,
    command: RegisterPerson | ChangeMemberships | ChangeAbsences | ChangeRoles,
) -> dict[str, Any]:  # fmt: skip
    done = await change(org_of(request), by, f"person:{person}", Reads(people=(person,)), command)
    return answer(response, done)


@router.put("/accounts/{platform}/{handle:path}", summary="Register an account, change its owner, dates, verification")
async def register_account(
    request: Request, response: Response, platform: str, handle: str, body: AccountBody,
    access: Access = allow("org.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))
    new = Account(platform, handle, body.owner, body.client, tuple(body.registered), tuple(body.verified))
    reads = Reads(people=(body.owner,) if body.owner else (), accounts=((platform, handle),))
    done = await change(org_of(request), by, f"account:{platform}/{handle}", reads, RegisterAccount(new))
    return answer(response, done)


FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string"}} for kind in ("application/yaml", "text/csv", "application/json")
        },
    }
}


@router.post("/organisation/import", summary="Apply an organisation file as one decision", openapi_extra=FILE_BODY)
async def import_file(
    request: Request, response: Response,
    dry_run_only: Annotated[bool, Query(alias="dry_run", description="Only say what would change")] = False,
    reason: Annotated[str | None, Query(max_length=500)] = None,
    access: Access = allow("org.write"), key: IdempotencyKey = None,
) -> dict[str, Any]:  # fmt: skip
    org = org_of(request)
    by = await asked(request, access, key)
    file = await asyncio.to_thread(read_file, by.body, request.headers.get("content-type", "application/yaml"))
    refuse = refuse_beyond(access)
    if dry_run_only:
        planned, _ = await dry_run(org, file, reason)
        refuse(planned)
        return {"applied": False, **_told(planned), "positions": ""}
    done = await apply_file(org, by, file, reason, refuse)
    response.headers["Opsledger-Position"] = render(done.positions)
    return {"applied": True, **_told(done.value), "positions": render(done.positions)}


def _told(planned: Plan) -> dict[str, Any]:
    return {
        "events": len(planned.events),
        "summary": planned.summary(),
        "changes": [asdict(item) for item in planned.changes],
    }
