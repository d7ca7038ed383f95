"""Which activities are behind a figure: selectors that the activity service answers at the figure's position. Pure.

Evidence is uncapped and shows each activity's quantity: all posts of the best two accounts, the posts on the five
forums, only posts on due (account, day)s, each for the person's days credited to the unit asked. Source: handbook,
"Small print". A selector's empty list or None is no condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple, TypedDict

from contracts.kpi import Quota, ScopeKind, Selector
from services.kpi.facts import Account, Facts, Period, Series
from services.kpi.organisation import Organisation, days_of
from services.kpi.rules import complete_campaigns
from services.kpi.rules_due import account_dues
from services.kpi.rules_select import account_of, best_accounts, by_account, of_person, of_unit


class EvidenceSelector(TypedDict):
    subject: str
    since: str
    until: str
    types: list[str]
    platforms: list[str]
    accounts: list[list[str]]
    on_topic: bool | None
    forms: list[str]
    counterpart: str | None
    campaign: str | None
    days: list[str] | None


class _Asked(NamedTuple):
    """What is asked for: whose totals, on which account, with which counterpart, in which complete campaigns."""

    quota: Quota
    period: Period
    facts: Facts
    organisation: Organisation
    in_unit: bool = False
    account: Account | None = None
    due_only: bool = False  # only posts on due (account, day)s
    counterpart: str | None = None
    campaigns: tuple[str | None, ...] = (None,)  # None = any


def evidence(
    quota: Quota,
    scope: ScopeKind,
    scope_id: str,
    period: Period,
    facts: Facts,
    organisation: Organisation,
    person: str | None = None,
) -> list[EvidenceSelector]:
    """Return the selectors whose union is exactly what the figure counts; they never overlap."""
    whole = (1 << period.length) - 1
    asked = _Asked(quota, period, facts, organisation)
    people: dict[str, int] = {scope_id: whole}
    if scope == "unit":
        people, asked = organisation.masks_in((scope_id,), period), asked._replace(in_unit=True)
    elif scope == "account":
        platform, _, handle = scope_id.partition("/")
        asked = asked._replace(account=(platform, handle))
        people = dict.fromkeys([person] if person else _people_of((platform, handle), facts, organisation), whole)
    elif scope == "pair":
        one, _, other = scope_id.partition("+")
        return [
            *_of_one(asked._replace(counterpart=other), one, whole),
            *_of_one(asked._replace(counterpart=one), other, whole),
        ]
    if quota.measure.per == "account_day" and scope != "unit":
        dues = [account_dues(quota, who, period, facts, organisation) for who in people]
        due_only = any(asked.account in mine if asked.account else mine for mine in dues)
        asked = asked._replace(due_only=due_only)
    if quota.measure.kind == "campaigns":
        inside = of_unit if scope == "unit" else of_person
        parts = inside(quota, scope_id, period, facts, organisation)
        campaigns = sorted(complete_campaigns(quota, parts))
        if not campaigns:
            return []
        asked = asked._replace(campaigns=tuple(campaigns))
    return [selector for who, mask in people.items() for selector in _of_one(asked, who, mask)]


def _people_of(account: Account, facts: Facts, organisation: Organisation) -> list[str]:
    users = {one.person for series in facts.by_account.get(account, {}).values() for one in series}
    owner = organisation.owners.get(account)
    return sorted(users | {owner} if owner is not None else users)


def _of_one(asked: _Asked, person: str, mask: int) -> Iterator[EvidenceSelector]:
    """Yield the selectors of one person's part on the days of a mask."""
    quota = asked.quota
    parts = of_person(quota, person, asked.period, asked.facts, asked.organisation)
    if asked.account is not None:
        parts = [part for part in parts if account_of(part) == asked.account]
    platforms = sorted({part.platform for part in parts}) if quota.measure.best_platforms is not None else []
    for selector in (quota.selector, *quota.also):
        mine = [part for part in parts if part.type in selector.types]
        if mine:
            for account, days in _account_masks(asked, selector, person, mine).items():
                if days & mask:
                    for campaign in asked.campaigns:
                        yield _selector(asked, selector, person, account, days & mask, platforms, campaign)


def _account_masks(asked: _Asked, selector: Selector, person: str, parts: list[Series]) -> dict[Account | None, int]:
    """Return the accounts that the measure counts, each with its days; {None: all days} when it counts any."""
    measure, period, organisation = asked.quota.measure, asked.period, asked.organisation
    whole = (1 << period.length) - 1
    if selector.verified_account:
        return {account: organisation.verified_mask(account, period) for account in by_account(parts)}
    if asked.due_only:
        dues = account_dues(asked.quota, person, period, asked.facts, organisation)
        return {account: mask for account, mask in dues.items() if asked.account in (None, account)}
    if measure.best_accounts is not None and not asked.in_unit and asked.account is None:
        return dict.fromkeys(best_accounts(parts, measure.best_accounts), whole)
    return {asked.account: whole}


def _selector(
    asked: _Asked,
    selector: Selector,
    person: str,
    account: Account | None,
    mask: int,
    platforms: list[str],
    campaign: str | None,
) -> EvidenceSelector:
    period = asked.period
    whole = mask == (1 << period.length) - 1
    return {
        "subject": person,
        "since": date.fromordinal(period.first).isoformat(),
        "until": date.fromordinal(period.last).isoformat(),
        "types": list(selector.types),
        "platforms": platforms or list(selector.platforms),
        "accounts": [] if account is None else [list(account)],
        "on_topic": selector.on_topic,
        "forms": list(selector.forms),
        "counterpart": asked.counterpart,
        "campaign": campaign,
        "days": None if whole else [date.fromordinal(day).isoformat() for day in days_of(mask, period)],
    }
