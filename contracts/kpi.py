"""Events of the KPI ledger ("kpi") and the policy document: duties and quotas as data.

A policy version is loaded whole. A quota says which activities count, how they are measured, for whom, over which
period, and what is due. Sources: handbook rows H-20 .. H-62 and "Readings".
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

ScopeKind = Literal["person", "account", "pair", "unit"]
PeriodKind = Literal["day", "week", "month"]
Layer = Literal["company", "centre"]
Status = Literal["no_target", "on_track", "behind", "at_risk", "met", "missed"]
Transition = Literal["raised", "cleared", "met", "unmet", "missed"]


class KpiModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Selector(KpiModel):
    """Which activities count. Empty list = no condition."""

    types: list[str]
    platforms: list[str] = Field(default_factory=list)
    on_topic: bool | None = None
    forms: list[str] = Field(default_factory=list)
    verified_account: bool = False  # the account is registered and verified on the day


class Measure(KpiModel):
    """How the selected activities become `done`.

    kind: `count` = quantities summed; `distinct` = accounts used; `days` = days with at least one;
    `campaigns` = campaigns for which every type of the selector exists (H-22).
    best_platforms: only the person's n platforms with the largest quantity in the month count (H-29: 5).
    per: nested quota: `account` = done and due are summed over accounts, each capped at its own due;
    `account_day` = one a day per account (H-32a). best_accounts: only the n best accounts are summed (H-29b: 2).
    accounts: which accounts are due in a nested quota: `used`, `registered_or_used` (H-32), `verified` (H-33).
    """

    kind: Literal["count", "distinct", "days", "campaigns"] = "count"
    per: Literal["account", "account_day"] | None = None
    best_platforms: int | None = None
    best_accounts: int | None = None
    accounts: Literal["used", "registered_or_used", "verified"] | None = None
    accounts_platform: str | None = None  # registered accounts of this platform word ("blog", "encyclopedia")


class Binding(KpiModel):
    """To whom a quota is due. `units`: members (directly or below) of these units; empty = nobody (counted only)."""

    units: list[str] = Field(default_factory=list)


class Quota(KpiModel):
    """One quota of a policy version, e.g. H-29b. `target` None = counted without target."""

    id: str
    row: str
    name_zh: str
    name_en: str
    selector: Selector
    also: list[Selector] = Field(default_factory=list)  # further activities that count, of other types (H-32b)
    measure: Measure = Measure()
    scope: ScopeKind
    period: PeriodKind
    also_periods: list[PeriodKind] = Field(default_factory=list)  # H-32a: day beside month
    target: int | None = None
    prorated: bool = True  # target x due days / calendar days; H-27, H-28: False
    binding: Binding = Binding()
    unit_kind: Literal["group", "department", "centre"] | None = None  # unit-scope quotas: due by which units
    weight: float = 1.0
    layer: Layer = "centre"
    due_weekdays: list[int] = Field(default_factory=lambda: [1, 2, 3, 4, 5, 6, 7])  # ISO weekdays that are due days
    at_risk_after_days: int = 3
    reading_zh: str = ""  # how the handbook's sentence is read, for people
    reading_en: str = ""

    @model_validator(mode="after")
    def _each_type_once(self) -> Quota:
        types = [name for selector in (self.selector, *self.also) for name in selector.types]
        if len(types) != len(set(types)):
            raise ValueError(f"quota {self.id}: an activity type may stand in one selector only, or it counts twice")
        return self


class Policy(KpiModel):
    """A versioned document of duties, quotas and weights; H-01."""

    title: str
    version: int = Field(ge=1)
    effective: date
    prepared_by: str | None = None
    reviewed_by: str | None = None
    approved_by: str | None = None
    document: dict[str, str] = Field(default_factory=dict)  # file number, edition, dates as in H-01
    quotas: list[Quota]


class PolicyPutInForce(KpiModel):
    event_type: ClassVar[str] = "kpi.policy_put_in_force.v1"
    policy: Policy


class AlertChanged(KpiModel):
    """A transition of an attainment's alert; each is decided once. Keyed (quota, version, scope, id, period)."""

    event_type: ClassVar[str] = "kpi.alert_changed.v1"
    quota: str
    version: int
    scope: ScopeKind
    id: str
    period: str  # "2026-10" | "2026-W43" | "2026-10-17"
    transition: Transition
    done: str  # exact fraction, "59/2"
    due: str
    at: datetime
    positions: dict[str, int] = Field(default_factory=dict)


KpiEvent = PolicyPutInForce | AlertChanged
