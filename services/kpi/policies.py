"""Policy versions: applied once, never changed, in force from a day on. Decisions are pure; the read model is a table.

A version is loaded whole. Within it the company's quota beats the centre's of the same id (H-04); both stay visible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from contracts.envelope import read_as
from contracts.kpi import PeriodKind, Policy, PolicyPutInForce, Quota
from services.kernel.database import Connection
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kpi.facts import Period, period_of
from services.kpi.rules_rows import in_force

MOST = 10**12  # of a target and of a weight


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy and the quotas that are active under it."""

    policy: Policy
    active: tuple[Quota, ...]

    @property
    def version(self) -> int:
        return self.policy.version

    def quota(self, quota_id: str) -> Quota | None:
        return next((quota for quota in self.active if quota.id == quota_id), None)


def digest_of(policy: Policy) -> bytes:
    """Return what tells two documents apart: the SHA-256 of what they say beyond the defaults, so that a field that a
    later version of the software adds makes no other document of one that stands."""
    return hashlib.sha256(policy.model_dump_json(exclude_defaults=True).encode()).digest()


def decide(policy: Policy, standing: bytes | None) -> list[PolicyPutInForce]:
    """Put a policy in force. `standing` is the digest of the same version, where it was applied before.

    Raises Refusal `policy_version_taken` (409) for other content under a version that stands.
    """
    _check(policy)
    if standing is None:
        return [PolicyPutInForce(policy=policy)]
    if standing != digest_of(policy):
        raise Refusal(
            "policy_version_taken",
            f"version {policy.version} stands with other content",
            status=409,
            field="version",
            remedy="Apply the changed document under a new version number.",
        )
    return []


def _check(policy: Policy) -> None:
    if policy.approved_by is not None and policy.approved_by == policy.prepared_by:
        raise Refusal(
            "approver_is_preparer",
            "who prepared a policy may not approve it",
            status=422,
            field="approved_by",
            remedy="Have somebody else approve it.",
        )
    seen: set[tuple[str, str]] = set()
    for quota in policy.quotas:
        key = (quota.id, quota.layer)
        if key in seen:
            raise Refusal(
                "duplicate_quota",
                f"{quota.id} stands twice in layer {quota.layer}",
                status=422,
                field="quotas",
                remedy="Give each quota of a layer an id of its own.",
            )
        seen.add(key)
        _check_quota(quota)


def _check_quota(quota: Quota) -> None:
    if not quota.id.strip() or not quota.id.isprintable():
        raise _bad("quotas.id", f"{quota.id!r} is no quota's id", "Give it an id in one line.")
    if quota.target is not None and not 1 <= quota.target <= MOST:
        remedy = "Use 1 or more, or leave it out: counted without target."
        raise _bad(f"quotas.{quota.id}.target", f"{str(quota.target)[:40]} is no target", remedy)
    if not 0 <= quota.weight <= MOST:
        raise _bad(f"quotas.{quota.id}.weight", f"{quota.weight} is no weight", "Use 0 or more.")


def _bad(field: str, detail: str, remedy: str) -> Refusal:
    return Refusal("bad_quota", detail, status=422, field=field, remedy=remedy)


async def apply_policy(work: Work, policy: Policy) -> bool:
    """Carry out the command in a ledger transaction; return whether it was new."""
    aggregate = f"policy:{policy.version}"
    expected = await work.version(aggregate)
    standing = await work.conn.fetchval("SELECT digest FROM public.policy WHERE version = $1", policy.version)
    events = decide(policy, standing)
    if events:
        work.append(aggregate, expected, events, subject=aggregate)
    return bool(events)


async def write(conn: Connection, event: PolicyPutInForce) -> None:
    """Write the read model's row, in the transaction of the commit."""
    policy = event.policy
    await conn.execute(
        "INSERT INTO public.policy (version, effective, digest, document) VALUES ($1, $2, $3, $4)",
        policy.version, policy.effective, digest_of(policy), policy.model_dump_json(),
    )  # fmt: skip


class PolicyBook:
    """All versions, cached for as long as their number is the same: versions are never changed or removed."""

    def __init__(self) -> None:
        self._versions: tuple[PolicyVersion, ...] = ()

    async def load(self, conn: Connection, count: int | None = None) -> tuple[PolicyVersion, ...]:
        """Return the versions that the connection's snapshot sees (`count` of them), oldest effective day first."""
        if count is None:
            count = await conn.fetchval("SELECT count(*) FROM public.policy")
        if count != len(self._versions):
            rows = await conn.fetch("SELECT document FROM public.policy ORDER BY effective, version")
            self._versions = tuple(read(read_as(Policy, row["document"].encode())) for row in rows)
        return self._versions


def read(policy: Policy) -> PolicyVersion:
    """Settle the layers of a policy."""
    return PolicyVersion(policy, tuple(quota for quota, beaten_by in in_force(policy.quotas) if beaten_by is None))


def on_day(versions: Sequence[PolicyVersion], day: date) -> PolicyVersion | None:
    """Return the version in force on a day: the latest that is effective by then; of one day, the higher number."""
    return next((v for v in reversed(versions) if v.policy.effective <= day), None)


def for_period(versions: Sequence[PolicyVersion], period: Period) -> PolicyVersion | None:
    """Return the version that a period is assessed under: that of its first day, or the first to begin within it.

    A period is never assessed under two versions, so that a change in its middle takes effect with the next one
    (decision 0010).
    """
    first, last = date.fromordinal(period.first), date.fromordinal(period.last)
    found = on_day(versions, first)
    if found is not None:
        return found
    return next((v for v in versions if first <= v.policy.effective <= last), None)


def waiting_in(versions: Sequence[PolicyVersion], period: Period) -> PolicyVersion | None:
    """Return the version that is in force at the period's end without being the one that it is assessed under."""
    found, last = for_period(versions, period), on_day(versions, date.fromordinal(period.last))
    return last if found is not None and last is not found else None


def first_period(versions: Sequence[PolicyVersion], version: PolicyVersion, kind: PeriodKind) -> Period | None:
    """Return the first period of a kind that is assessed under a version; None where another overtakes it."""
    try:
        period = period_of(kind, version.policy.effective)
        if for_period(versions, period) is not version:
            period = period_of(kind, date.fromordinal(period.last + 1))
        return period if for_period(versions, period) is version else None
    except (ValueError, OverflowError):  # the calendar ends first
        return None
