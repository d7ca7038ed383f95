"""Policies over HTTP: apply a version, list them, and see which one is in force on a day and which layer wins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Request, Response

from contracts.kpi import PeriodKind, Policy, Quota
from services.kernel import clock
from services.kernel.auth import Access, allow
from services.kernel.commands import execute
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kernel.positions import render
from services.kernel.web import IdempotencyKey
from services.kpi.context import Kpi, kpi_of
from services.kpi.policies import PolicyVersion, apply_policy, first_period, on_day
from services.kpi.rules_rows import in_force

router = APIRouter(prefix="/v1/policies", tags=["policies"])

READ = allow("policy.read")


@router.post("", summary="Put a policy version in force from its effective day")
async def apply(
    request: Request,
    response: Response,
    policy: Policy,
    idempotency_key: IdempotencyKey = None,
    access: Access = allow("policy.apply"),
) -> dict[str, Any]:
    """The same document again changes nothing; another one under a version that stands is a 409.

    A day, week or month is assessed under the version of its first day; `first_periods` are the first under this one.
    """
    kpi = kpi_of(request)
    if policy.approved_by is not None and not access.principal.may("policy.approve"):
        raise access.refuse("approving a policy")

    async def decide(work: Work) -> bool:
        return await apply_policy(work, policy)

    done = await execute(
        kpi.committer,
        decide,
        principal=access.principal.id,
        route="POST /v1/policies",
        key=idempotency_key,
        body=await request.body(),
        retry_on_conflict=True,
    )
    response.status_code = 201 if done.value else 200
    positions = done.positions or await kpi.ledger.heads()
    versions, _ = await _versions(kpi)
    data = {"version": policy.version, "effective": policy.effective, "applied": bool(done.value)}
    return {"data": data | {"first_periods": _first_periods(versions, policy.version)}, "position": render(positions)}


@router.get("", summary="Every version, oldest effective day first")
async def listed(request: Request, _: Access = READ) -> dict[str, Any]:
    """Without their quotas; `in-force` shows those."""
    kpi = kpi_of(request)
    versions, positions = await _versions(kpi)
    current = on_day(versions, _today(kpi))
    data = [
        {
            **v.policy.model_dump(mode="json", exclude={"quotas"}),
            "quotas": len(v.active),
            "in_force": v is current,
            "first_periods": _first_periods(versions, v.version),
        }
        for v in versions
    ]
    return _body(data, positions)


@router.get("/in-force", summary="The version in force on a day, quota by quota, with what each layer says")
async def in_force_on(
    request: Request,
    on: Annotated[date | None, Query(description="local day; default today")] = None,
    _: Access = READ,
) -> dict[str, Any]:
    """Where the company's rule beats the centre's both are shown, with which one won and why (H-04)."""
    kpi = kpi_of(request)
    versions, positions = await _versions(kpi)
    found = on_day(versions, on or _today(kpi))
    if found is None:
        raise Refusal("no_policy", "no policy is in force on that day", status=404, field="on", remedy="Apply one.")
    data = found.policy.model_dump(mode="json", exclude={"quotas"})
    data["quotas"] = [_layered(quota, winner) for quota, winner in in_force(found.policy.quotas)]
    return _body(data, positions)


@router.get("/{version}", summary="One version, whole, as it was applied")
async def one(request: Request, version: int, _: Access = READ) -> dict[str, Any]:
    """The document that `opsledger policy apply` takes."""
    versions, positions = await _versions(kpi_of(request))
    found = next((v for v in versions if v.version == version), None)
    if found is None:
        raise Refusal("unknown_policy", f"there is no version {version}", status=404, field="version")
    return _body(found.policy.model_dump(mode="json"), positions)


def _first_periods(versions: Sequence[PolicyVersion], number: int) -> dict[str, str | None]:
    """Return the first day, week and month assessed under a version; None: another one overtakes it."""
    version = next(v for v in versions if v.version == number)
    firsts = {kind: first_period(versions, version, kind) for kind in get_args(PeriodKind)}
    return {kind: period.text if period else None for kind, period in firsts.items()}


def _layered(quota: Quota, winner: Quota | None) -> dict[str, Any]:
    shown = quota.model_dump(mode="json") | {"in_force": winner is None}
    if winner is not None:
        shown |= {"beaten_by": winner.layer, "why": "company rules beat the centre's (Article 3)"}
    return shown


async def _versions(kpi: Kpi) -> tuple[tuple[PolicyVersion, ...], dict[str, int]]:
    async with kpi.db.tx("repeatable_read", readonly=True) as conn:
        versions = await kpi.figures.book.load(conn)
        head = await conn.fetchval("SELECT number FROM public.ledger_head WHERE ledger = 'kpi'")
    return versions, {"kpi": head}


def _today(kpi: Kpi) -> date:
    return clock.now().astimezone(kpi.settings.zone).date()


def _body(data: Any, positions: dict[str, int]) -> dict[str, Any]:
    return {"data": data, "positions": render(positions), "as_of": clock.now().isoformat()}
