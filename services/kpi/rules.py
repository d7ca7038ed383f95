"""The KPI arithmetic: `attain` says what was done, what was due and how it stands, for one quota, scope, id and period.

Pure and exact: nothing but data in and out, so that live figures, rebuilds and what-if call the same function. Knows
measures and scopes, never a quota's id. Source: handbook, "Readings". Dues and nested accounts are in `rules_due`,
the activities behind a figure in `rules_evidence`, which rows a table has in `rules_rows`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from contracts.kpi import Quota, ScopeKind, Status
from services.kpi.facts import Account, Exact, Facts, Period, Series, whole
from services.kpi.organisation import Organisation, mask_of
from services.kpi.rules_due import (
    NOTHING,
    Due,
    account_dues,
    calendar_days,
    dues_on,
    group_due,
    pair_due,
    person_due,
    scaled,
    verified_due,
)
from services.kpi.rules_select import (
    account_of,
    best_accounts,
    by_account,
    days_by_account,
    keep,
    of_person,
    of_unit,
    quantity,
    select,
)


class Attainment(NamedTuple):
    """A figure. `person` is set where one person's part in an account was asked for (several may use it)."""

    quota: str
    version: int
    scope: ScopeKind
    id: str  # staff number | "platform/handle" | "A+B" sorted | unit
    person: str | None
    period: str
    done: Exact
    due: Exact
    due_days: int
    elapsed: int  # due days through yesterday
    status: Status
    last_day: date | None  # of the latest activity that counts
    last_commit: int | None  # the latest commit of a series that counts

    @property
    def ratio(self) -> Fraction | None:
        """Return done / due, exact and uncapped; None without target."""
        return Fraction(self.done) / self.due if self.due else None

    @property
    def met(self) -> bool:
        """Return whether what is due is done, also while the period runs."""
        return bool(self.due) and self.done >= self.due


def attain(
    quota: Quota,
    scope: ScopeKind,
    scope_id: str,
    period: Period,
    facts: Facts,
    organisation: Organisation,
    today: date,
    *,
    version: int = 1,
    person: str | None = None,
) -> Attainment:
    """Return the figure of a quota. `scope` may be coarser than the quota's own (a unit's total) or finer (an account).

    `facts` must hold `fact_window(quota, period)`. An account's figure is that of all who own or use it; `person`
    asks for one person's part in it (H-32a, e, f).
    """
    if scope == "unit":
        done, due, parts = _unit(quota, scope_id, period, facts, organisation)
    elif scope == "pair":
        done, due, parts = _pair(quota, scope_id, period, facts, organisation)
    elif scope == "account":
        platform, _, handle = scope_id.partition("/")
        account = (platform, handle)
        if person is None:
            done, due, parts = _shared_account(quota, account, period, facts, organisation)
        else:
            done, due, parts = _own_account(quota, person, account, period, facts, organisation)
    else:
        done, due, parts = _person(quota, scope_id, period, facts, organisation)
    now = today.toordinal()
    elapsed = due.elapsed(period, now)
    days = due.mask.bit_count()
    return Attainment(
        quota.id,
        version,
        scope,
        scope_id,
        person,
        period.text,
        done,
        due.amount,
        days,
        elapsed,
        standing(done, due.amount, days, elapsed, now > period.last, quota.at_risk_after_days),
        date.fromordinal(max([part.days[-1] for part in parts])) if parts else None,
        max([part.last_commit for part in parts]) if parts else None,
    )


def standing(done: Exact, due: Exact, due_days: int, elapsed: int, over: bool, at_risk_after: int) -> Status:
    """Return the status: met or missed after the end; before it, done against the share of the due days elapsed."""
    if not due:
        return "no_target"
    if over:
        return "met" if done >= due else "missed"
    if done * due_days >= due * elapsed:
        return "on_track"
    return "at_risk" if elapsed >= at_risk_after else "behind"


# -- the four scopes ------------------------------------------------------------------------------------------------
Figure = tuple[Exact, Due, list[Series]]


def _person(quota: Quota, person: str, period: Period, facts: Facts, organisation: Organisation) -> Figure:
    measure = quota.measure
    if measure.accounts == "registered_or_used":
        return _nested(quota, person, None, period, facts, organisation)
    parts = of_person(quota, person, period, facts, organisation)
    due = person_due(quota, person, period, organisation)
    if measure.per == "account" and measure.best_accounts is not None:
        best = best_accounts(parts, measure.best_accounts)
        cap = due.amount or quota.target
        done = sum_capped(best.values(), cap)
        total = Due(whole(due.amount * measure.best_accounts), due.mask)
        return done, total, [part for part in parts if account_of(part) in best]
    return measured(quota, parts, period), due, parts


def _nested(
    quota: Quota, person: str, only: Account | None, period: Period, facts: Facts, organisation: Organisation
) -> Figure:
    """Accounts each with a due of its own: comments capped account by account, or (account, day)s met (H-32a, e, f)."""
    parts = of_person(quota, person, period, facts, organisation)
    dues = account_dues(quota, person, period, facts, organisation, parts)
    if only is not None:
        dues = {account: mask for account, mask in dues.items() if account == only}
        parts = [part for part in parts if account_of(part) == only]
    per_day = quota.measure.per == "account_day"
    days = 0
    for mask in dues.values():
        days |= mask
    if only is None:
        days = person_due(quota, person, period, organisation).mask if days else 0
    if per_day:
        amount: Exact = sum(mask.bit_count() for mask in dues.values())
        posted = days_by_account(parts, period)
        if not amount:
            return sum(mask.bit_count() for mask in posted.values()), NOTHING, parts
        done: Exact = sum((posted.get(account, 0) & mask).bit_count() for account, mask in dues.items())
        due_parts = (keep(part, dues.get(account_of(part) or ("", ""), 0), period) for part in parts)
        return done, Due(amount, days), [part for part in due_parts if part is not None]
    each = {account: _each(quota, mask, period) for account, mask in dues.items()}
    amount = _sum(each.values())
    used = by_account(parts)
    if amount:
        done = _sum(min(count, each.get(account, 0)) for account, count in used.items())
    else:
        done = sum_capped(used.values(), quota.target)
    return done, Due(amount, days), parts


def _own_account(
    quota: Quota, person: str, account: Account, period: Period, facts: Facts, organisation: Organisation
) -> Figure:
    if quota.measure.accounts == "registered_or_used":
        return _nested(quota, person, account, period, facts, organisation)
    parts = of_person(quota, person, period, facts, organisation)
    parts = [part for part in parts if account_of(part) == account]
    return measured(quota, parts, period), Due(0, 0), parts


def _shared_account(quota: Quota, account: Account, period: Period, facts: Facts, organisation: Organisation) -> Figure:
    """What everybody did with an account: due by its verified days (H-33), or by those of its people (H-32a, e, f)."""
    parts = select(quota, facts.by_account.get(account, {}), period, facts, organisation)
    if quota.measure.accounts != "registered_or_used":
        return measured(quota, parts, period), verified_due(quota, account, period, organisation), parts
    dues = dues_on(quota, account, period, facts, organisation)
    days = 0
    for mask in dues.values():
        days |= mask
    if quota.measure.per == "account_day":
        if days:
            kept = (keep(part, dues.get(part.person, 0), period) for part in parts)
            parts = [part for part in kept if part is not None]
        posted = 0
        for part in parts:
            posted |= mask_of(part.days, period)
        return posted.bit_count(), Due(days.bit_count(), days), parts
    each = {person: _each(quota, mask, period) for person, mask in dues.items()}
    done: dict[str, int] = {}
    for part in parts:
        done[part.person] = done.get(part.person, 0) + sum(part.quantities)
    if not days:
        return sum_capped(done.values(), quota.target), NOTHING, parts
    total = _sum(min(count, each.get(person, 0)) for person, count in done.items())
    return total, Due(_sum(each.values()), days), parts


def _each(quota: Quota, mask: int, period: Period) -> Exact:
    return scaled(quota.target or 0, mask.bit_count(), calendar_days(quota, period))


def _pair(quota: Quota, pair: str, period: Period, facts: Facts, organisation: Organisation) -> Figure:
    one, _, other = pair.partition("+")
    parts = [p for p in of_person(quota, one, period, facts, organisation) if p.counterpart == other]
    parts += [p for p in of_person(quota, other, period, facts, organisation) if p.counterpart == one]
    return quantity(parts), pair_due(quota, one, other, period, organisation), parts


def _unit(quota: Quota, unit: str, period: Period, facts: Facts, organisation: Organisation) -> Figure:
    """A unit's total is the measure over what is credited to it, uncapped; only unit quotas have a due here."""
    parts = of_unit(quota, unit, period, facts, organisation)
    due = group_due(quota, unit, period, organisation) if quota.scope == "unit" else Due(0, 0)
    if quota.measure.per == "account_day":
        posted: dict[tuple[str, Account | None], int] = {}
        for part in parts:
            key = (part.person, account_of(part))
            posted[key] = posted.get(key, 0) | mask_of(part.days, period)
        return sum(mask.bit_count() for mask in posted.values()), due, parts
    return measured(quota, parts, period), due, parts


# -- measures -------------------------------------------------------------------------------------------------------
def measured(quota: Quota, parts: list[Series], period: Period) -> int:
    """Return the plain measure over parts: quantities, accounts, days, or complete campaigns."""
    kind = quota.measure.kind
    if kind == "count":
        return quantity(parts)
    if kind == "distinct":
        return len({account for part in parts if (account := account_of(part)) is not None})
    if kind == "days":
        mask = 0
        for part in parts:
            mask |= mask_of(part.days, period)
        return mask.bit_count()
    return len(complete_campaigns(quota, parts))


def complete_campaigns(quota: Quota, series: Iterable[Series]) -> set[str]:
    """Return the campaigns for which every selected type is there (H-22: plan, run and report)."""
    seen: dict[str, set[str]] = {}
    for one in series:
        if one.campaign is not None:
            seen.setdefault(one.campaign, set()).add(one.type)
    needed = {name for selector in (quota.selector, *quota.also) for name in selector.types}
    return {campaign for campaign, types in seen.items() if types >= needed}


def sum_capped(counts: Iterable[int], cap: Exact | None) -> Exact:
    """Return the sum of counts, each capped; None = no cap."""
    return _sum(counts if cap is None else (min(count, cap) for count in counts))


def _sum(amounts: Iterable[Exact]) -> Exact:
    total: Exact = 0
    for amount in amounts:
        total = total + amount
    return whole(total)
