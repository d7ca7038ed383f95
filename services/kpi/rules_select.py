"""Which activities count for a quota: selectors applied to series, clipped to a period, by day where days matter."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

from contracts.kpi import Quota, Selector
from services.kpi.facts import Account, Facts, Period, Series, fact_window
from services.kpi.organisation import Organisation, mask_of

Types = Mapping[str, Sequence[Series]]


def select(quota: Quota, types: Types, period: Period, facts: Facts, organisation: Organisation) -> list[Series]:
    """Return what counts for the quota in the period, out of `types`: series of `facts` by type (a person's, say).

    Series are cut to what counts: to the period, and to the days on which an account is verified where that matters.
    """
    whole = facts.window is period or facts.window == period
    found = _select_one(quota.selector, types, period, whole, organisation)
    for selector in quota.also:
        found = found + _select_one(selector, types, period, whole, organisation)
    return found


def _select_one(
    selector: Selector, types: Types, period: Period, whole: bool, organisation: Organisation
) -> list[Series]:
    found = [series for name in selector.types if name in types for series in types[name]]
    if selector.on_topic is not None:
        found = [series for series in found if series.on_topic == selector.on_topic]
    if selector.platforms:
        found = [series for series in found if series.platform in selector.platforms]
    if selector.forms:
        found = [series for series in found if series.form in selector.forms]
    if not whole:
        found = [cut for series in found if (cut := clip(series, period)) is not None]
    if selector.verified_account:
        found = [cut for series in found if (cut := _verified(series, period, organisation)) is not None]
    return found


def _verified(series: Series, period: Period, organisation: Organisation) -> Series | None:
    account = account_of(series)
    return keep(series, organisation.verified_mask(account, period), period) if account else None


def clip(series: Series, period: Period) -> Series | None:
    """Return the series cut to the period, None when nothing is left."""
    days = series.days
    if not days:
        return None
    if days[0] >= period.first and days[-1] <= period.last:
        return series
    start, stop = bisect_left(days, period.first), bisect_right(days, period.last)
    return _cut(series, days[start:stop], series.quantities[start:stop]) if start < stop else None


def keep(series: Series, mask: int, period: Period) -> Series | None:
    """Return the series on the days of a mask only, None when nothing is left."""
    if mask == (1 << period.length) - 1:
        return series
    if not mask:
        return None
    first = period.first
    kept = [(day, q) for day, q in zip(series.days, series.quantities, strict=True) if mask >> (day - first) & 1]
    if len(kept) == len(series.days):
        return series
    return _cut(series, [day for day, _ in kept], [q for _, q in kept]) if kept else None


def _cut(series: Series, days: Sequence[int], quantities: Sequence[int]) -> Series:
    return Series._make((*series[:8], days, quantities, series.events, series.last_commit))


def account_of(series: Series) -> Account | None:
    """Return (platform, handle), None where the activity names no account."""
    return None if series.account is None else (series.platform, series.account)


def quantity(parts: Iterable[Series]) -> int:
    """Return the summed quantity."""
    return sum([sum(part.quantities) for part in parts])


def by_account(parts: Iterable[Series]) -> dict[Account, int]:
    """Return the quantity by account."""
    found: dict[Account, int] = {}
    for part in parts:
        account = account_of(part)
        if account is not None:
            found[account] = found.get(account, 0) + sum(part.quantities)
    return found


def days_by_account(parts: Iterable[Series], period: Period) -> dict[Account, int]:
    """Return the days with at least one activity, as a mask, by account."""
    found: dict[Account, int] = {}
    for part in parts:
        account = account_of(part)
        if account is not None:
            found[account] = found.get(account, 0) | mask_of(part.days, period)
    return found


def best_platforms(parts: Iterable[Series], count: int) -> set[str]:
    """Return the platforms with the largest quantities; ties go to the name first in code-point order (H-29)."""
    totals: dict[str, int] = {}
    for part in parts:
        totals[part.platform] = totals.get(part.platform, 0) + sum(part.quantities)
    return set(sorted(totals, key=lambda name: (-totals[name], name))[:count])


def best_accounts(parts: Iterable[Series], count: int) -> dict[Account, int]:
    """Return the accounts with the largest quantities; ties go to the first (platform, handle) (H-29b)."""
    totals = by_account(parts)
    return {account: totals[account] for account in sorted(totals, key=lambda a: (-totals[a], a))[:count]}


def of_person(quota: Quota, person: str, period: Period, facts: Facts, organisation: Organisation) -> list[Series]:
    """Return what counts of one person's work; forums are chosen over the quota's whole period, not the part asked."""
    types = facts.by_person.get(person)
    if types is None:
        return []
    parts = select(quota, types, period, facts, organisation)
    limit = quota.measure.best_platforms
    if limit is None or not parts:
        return parts
    outer = fact_window(quota, period)
    best = best_platforms(
        parts if outer is period or outer == period else select(quota, types, outer, facts, organisation), limit
    )
    return [part for part in parts if part.platform in best]


def of_unit(quota: Quota, unit: str, period: Period, facts: Facts, organisation: Organisation) -> list[Series]:
    """Return what is credited to a unit: each member's work on the days in the unit or below it."""
    whole = (1 << period.length) - 1
    credited: list[Series] = []
    for person, mask in organisation.masks_in((unit,), period).items():
        parts = of_person(quota, person, period, facts, organisation)
        if mask == whole:
            credited.extend(parts)
        else:
            credited.extend(kept for part in parts if (kept := keep(part, mask, period)) is not None)
    return credited
