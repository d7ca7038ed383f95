"""Which rows a table has: everybody bound on any day (zero included), and others where something was done. Pure.

Source: handbook, "Dues", "Counting" and "Small print". Also settles which layer's quota is in force (H-04).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from contracts.kpi import Quota, ScopeKind
from services.kpi.facts import Account, Facts, Period
from services.kpi.organisation import Organisation
from services.kpi.rules import Attainment, attain
from services.kpi.rules_due import account_dues
from services.kpi.rules_select import by_account, of_person


class Row(NamedTuple):
    scope: ScopeKind
    id: str


def scopes(quota: Quota) -> tuple[ScopeKind, ...]:
    """Return the scopes in which a quota has figures: its own, accounts where they have dues of their own, units."""
    if quota.scope == "person" and quota.measure.accounts == "registered_or_used":
        return ("person", "account", "unit")
    return ("unit",) if quota.scope == "unit" else (quota.scope, "unit")


def periods(quota: Quota) -> tuple[str, ...]:
    """Return the kinds of period in which a quota has figures: a weekly quota has weekly figures only."""
    return (quota.period, *quota.also_periods)


def rows(quota: Quota, scope: ScopeKind, period: Period, facts: Facts, organisation: Organisation) -> list[Row]:
    """Return the rows of a quota in a scope and period, sorted; none where it has no figures in them."""
    if scope not in scopes(quota) or period.kind not in periods(quota):
        return []
    if scope == "unit":
        return [Row("unit", unit) for unit in sorted(organisation.units)]
    if scope == "pair":
        return [Row("pair", pair) for pair in sorted(_pairs(quota, period, facts, organisation))]
    if scope == "person":
        return [Row("person", person) for person in sorted(_people(quota, period, facts, organisation))]
    if quota.measure.accounts == "registered_or_used":
        return [Row("account", account) for account in sorted(_own_accounts(quota, period, facts, organisation))]
    return [Row("account", account) for account in sorted(_accounts(quota, period, facts, organisation))]


def figures(
    quotas: Iterable[Quota],
    scope: ScopeKind,
    period: Period,
    facts: Facts,
    organisation: Organisation,
    today: date,
    version: int = 1,
    people: set[str] | None = None,
) -> Iterator[Attainment]:
    """Yield every figure of a scope and period; `people` keeps the rows of these persons only (a unit's table)."""
    for quota in quotas:
        for row in rows(quota, scope, period, facts, organisation):
            if people is None or _concerns(row, people, facts, organisation):
                yield attain(quota, scope, row.id, period, facts, organisation, today, version=version)


def in_force(quotas: Iterable[Quota]) -> list[tuple[Quota, Quota | None]]:
    """Return each quota with the one that overrides it: a company quota beats the centre's of the same id (H-04)."""
    listed = list(quotas)
    company = {quota.id: quota for quota in listed if quota.layer == "company"}
    return [(quota, company.get(quota.id) if quota.layer == "centre" else None) for quota in listed]


def _concerns(row: Row, people: set[str], facts: Facts, organisation: Organisation) -> bool:
    if row.scope == "person":
        return row.id in people
    if row.scope == "pair":
        return not people.isdisjoint(row.id.split("+", 1))
    if row.scope == "account":
        platform, _, handle = row.id.partition("/")
        account = (platform, handle)
        used = (series.person for kinds in facts.by_account.get(account, {}).values() for series in kinds)
        return organisation.owners.get(account) in people or not people.isdisjoint(used)
    return True


def _people(quota: Quota, period: Period, facts: Facts, organisation: Organisation) -> set[str]:
    bound = set(organisation.masks_in(tuple(quota.binding.units), period))
    others = (person for person in facts.by_person if person not in bound)
    day = date.fromordinal(period.first)  # only `done` is asked; the status of the day does not matter
    return bound | {
        person
        for person in others
        if of_person(quota, person, period, facts, organisation)
        and attain(quota, "person", person, period, facts, organisation, day).done
    }


def _own_accounts(quota: Quota, period: Period, facts: Facts, organisation: Organisation) -> Iterator[str]:
    """Yield the accounts with a due or something done: those due of bound people, and those used."""
    found: set[Account] = set()
    for person in {*organisation.masks_in(tuple(quota.binding.units), period), *facts.by_person}:
        found |= set(account_dues(quota, person, period, facts, organisation))
        found |= set(by_account(of_person(quota, person, period, facts, organisation)))
    day = date.fromordinal(period.first)
    for platform, handle in found:
        figure = attain(quota, "account", f"{platform}/{handle}", period, facts, organisation, day)
        if figure.done or figure.due:
            yield figure.id


def _accounts(quota: Quota, period: Period, facts: Facts, organisation: Organisation) -> set[str]:
    found: set[str] = set()
    if quota.measure.accounts == "verified" and quota.measure.accounts_platform:
        found = {f"{p}/{h}" for p, h in organisation.verified_accounts(quota.measure.accounts_platform, period)}
    for person in facts.by_person:
        found |= {f"{p}/{h}" for p, h in by_account(of_person(quota, person, period, facts, organisation))}
    return found


def _pairs(quota: Quota, period: Period, facts: Facts, organisation: Organisation) -> set[str]:
    return {
        pair_id(person, part.counterpart)
        for person in facts.by_person
        for part in of_person(quota, person, period, facts, organisation)
        if part.counterpart is not None
    }


def pair_id(one: str, other: str) -> str:
    """Return the id of an unordered pair, "A+B" with A before B in code-point order."""
    return f"{one}+{other}" if one <= other else f"{other}+{one}"
