"""given(...).figure(...): a small centre under the handbook's own policy data, for tests of the KPI rules."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import yaml

from contracts.kpi import Policy, Quota, ScopeKind
from services.kpi.facts import Fact, Facts, parse_period
from services.kpi.organisation import AbsenceRow, AccountRow, MembershipRow, Organisation, UnitRow
from services.kpi.rules import Attainment, attain
from services.kpi.rules_evidence import EvidenceSelector, evidence
from services.kpi.rules_rows import Row, rows

HANDBOOK = Path(__file__).parents[2] / "deploy" / "handbook"
OPEN = "2026-01-01"


@lru_cache
def quotas() -> dict[str, Quota]:
    policy = Policy.model_validate(yaml.safe_load((HANDBOOK / "policy.yaml").read_text(encoding="utf-8")))
    return {quota.id: quota for quota in policy.quotas}


@lru_cache
def units() -> tuple[UnitRow, ...]:
    document = yaml.safe_load((HANDBOOK / "organisation.yaml").read_text(encoding="utf-8"))
    return tuple(UnitRow(row["unit"], row["kind"], row["parent"]) for row in document["units"])


def day(text: str) -> date:
    return date.fromisoformat(text)


class given:
    """Everybody named in `members` is in the commercial group since the start of the year."""

    def __init__(self, *members: str) -> None:
        self.memberships = [MembershipRow(person, "commercial", day(OPEN)) for person in members]
        self.absences: list[AbsenceRow] = []
        self.accounts: list[AccountRow] = []
        self.facts: list[Fact] = []

    def member(self, person: str, unit: str, since: str = OPEN, until: str | None = None) -> given:
        self.memberships.append(MembershipRow(person, unit, day(since), day(until) if until else None))
        return self

    def absent(self, person: str, since: str, until: str) -> given:
        self.absences.append(AbsenceRow(person, day(since), day(until)))
        return self

    def account(
        self,
        platform: str,
        handle: str,
        owner: str | None,
        since: str = OPEN,
        until: str | None = None,
        verified: tuple[str, str | None] | None = None,
    ) -> given:
        spans = ((day(since), day(until) if until else None),)
        sure = ((day(verified[0]), day(verified[1]) if verified[1] else None),) if verified else ()
        self.accounts.append(AccountRow(platform, handle, owner, spans, sure))
        return self

    def did(self, person: str, on: str, type: str, quantity: int = 1, **fields: object) -> given:
        fields.setdefault("platform", type.split(".")[0])
        self.facts.append(Fact(person, day(on), type, quantity=quantity, **fields))  # type: ignore[arg-type]
        return self

    def did_daily(self, person: str, since: str, days: int, type: str, quantity: int = 1, **fields: object) -> given:
        for i in range(days):
            self.did(person, (day(since) + timedelta(days=i)).isoformat(), type, quantity, **fields)
        return self

    def organisation(self) -> Organisation:
        return Organisation(units(), self.memberships, self.absences, self.accounts)

    def figure(
        self,
        quota: str | Quota,
        scope_id: str,
        period: str,
        today: str | None = None,
        scope: ScopeKind | None = None,
        person: str | None = None,
    ) -> Attainment:
        rule = quotas()[quota] if isinstance(quota, str) else quota
        when = parse_period(period)
        now = day(today) if today else date.fromordinal(when.last + 1)
        inside = scope or rule.scope
        return attain(rule, inside, scope_id, when, Facts.of(self.facts), self.organisation(), now, person=person)

    def rows(self, quota: str, period: str, scope: ScopeKind | None = None) -> list[Row]:
        rule = quotas()[quota]
        return rows(rule, scope or rule.scope, parse_period(period), Facts.of(self.facts), self.organisation())

    def ids(self, quota: str, period: str, scope: ScopeKind | None = None) -> list[str]:
        return [row.id for row in self.rows(quota, period, scope)]

    def evidence(
        self, quota: str, scope_id: str, period: str, scope: ScopeKind | None = None, person: str | None = None
    ) -> list[Fact]:
        """Return the facts that the evidence selectors find, each as often as a selector finds it."""
        rule = quotas()[quota]
        found = evidence(
            rule, scope or rule.scope, scope_id, parse_period(period), Facts.of(self.facts), self.organisation(), person
        )
        return [fact for selector in found for fact in self.facts if selects(selector, fact)]


def selects(selector: EvidenceSelector, fact: Fact) -> bool:
    """Answer as the activity service's evidence query does."""
    on = fact.day.isoformat()
    return (
        fact.person == selector["subject"]
        and selector["since"] <= on <= selector["until"]
        and fact.type in selector["types"]
        and (not selector["platforms"] or fact.platform in selector["platforms"])
        and (not selector["accounts"] or [fact.platform, fact.account] in selector["accounts"])
        and (selector["on_topic"] is None or fact.on_topic == selector["on_topic"])
        and (not selector["forms"] or fact.form in selector["forms"])
        and (selector["counterpart"] is None or fact.counterpart == selector["counterpart"])
        and selector["campaign"] in (None, fact.campaign)
        and (selector["days"] is None or on in selector["days"])
    )
