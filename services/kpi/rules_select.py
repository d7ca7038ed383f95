"""Which activities count for a quota: selectors applied to series, clipped to a period, by day where days matter."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from contracts.kpi import Quota, Selector
from services.kpi.facts import Account, Facts, Period, Series, fact_window
from services.kpi.organisation import Organisation, mask_of


class Part(NamedTuple):
    """The days and quantities of one series that count."""

    series: Series
    days: Sequence[int]
    quantities: Sequence[int]


Types = Mapping[str, Sequence[Series]]


def select(quota: Quota, types: Types, period: Period, organisation: Organisation) -> list[Part]:
    """Return what counts for the quota in the period out of series by type (one person's or everybody's)."""
    parts: list[Part] = []
    _select_one(quota.selector, types, period, organisation, parts)
    for selector in quota.also:
        _select_one(selector, types, period, organisation, parts)
    return parts


def _select_one(
    selector: Selector, types: Types, period: Period, organisation: Organisation, parts: list[Part]
) -> None:
    for name in selector.types:
        for series in types.get(name, ()):
            if not _matches(selector, series):
                continue
            part = clip(series, period)
            if part is not None and selector.verified_account:
                account = account_of(series)
                part = keep(part, organisation.verified_mask(account, period), period) if account else None
            if part is not None:
                parts.append(part)


def _matches(selector: Selector, series: Series) -> bool:
    return (
        (selector.on_topic is None or series.on_topic == selector.on_topic)
        and (not selector.platforms or series.platform in selector.platforms)
        and (not selector.forms or series.form in selector.forms)
    )


def clip(series: Series, period: Period) -> Part | None:
    """Return the part of a series inside the period, None when there is nothing."""
    days = series.days
    if not days:
        return None
    if days[0] >= period.first and days[-1] <= period.last:
        return Part(series, days, series.quantities)
    start, stop = bisect_left(days, period.first), bisect_right(days, period.last)
    return Part(series, days[start:stop], series.quantities[start:stop]) if start < stop else None


def keep(part: Part, mask: int, period: Period) -> Part | None:
    """Return the part on the days of a mask only."""
    first = period.first
    kept = [(day, q) for day, q in zip(part.days, part.quantities, strict=True) if mask >> (day - first) & 1]
    if not kept:
        return None
    if len(kept) == len(part.days):
        return part
    return Part(part.series, tuple(day for day, _ in kept), tuple(q for _, q in kept))


def account_of(series: Series) -> Account | None:
    """Return (platform, handle), None where the activity names no account."""
    return None if series.account is None else (series.platform, series.account)


def quantity(parts: Iterable[Part]) -> int:
    """Return the summed quantity."""
    return sum(sum(part.quantities) for part in parts)


def by_account(parts: Iterable[Part]) -> dict[Account, int]:
    """Return the quantity by account."""
    found: dict[Account, int] = {}
    for part in parts:
        account = account_of(part.series)
        if account is not None:
            found[account] = found.get(account, 0) + sum(part.quantities)
    return found


def days_by_account(parts: Iterable[Part], period: Period) -> dict[Account, int]:
    """Return the days with at least one activity, as a mask, by account."""
    found: dict[Account, int] = {}
    for part in parts:
        account = account_of(part.series)
        if account is not None:
            found[account] = found.get(account, 0) | mask_of(part.days, period)
    return found


def best_platforms(parts: Iterable[Part], count: int) -> set[str]:
    """Return the platforms with the largest quantities; ties go to the name first in code-point order (H-29)."""
    totals: dict[str, int] = {}
    for part in parts:
        totals[part.series.platform] = totals.get(part.series.platform, 0) + sum(part.quantities)
    return set(sorted(totals, key=lambda name: (-totals[name], name))[:count])


def best_accounts(parts: Iterable[Part], count: int) -> dict[Account, int]:
    """Return the accounts with the largest quantities; ties go to the first (platform, handle) (H-29b)."""
    totals = by_account(parts)
    return {account: totals[account] for account in sorted(totals, key=lambda a: (-totals[a], a))[:count]}


def of_person(quota: Quota, person: str, period: Period, facts: Facts, organisation: Organisation) -> list[Part]:
    """Return what counts of one person's work; forums are chosen over the quota's whole period, not the part asked."""
    types = facts.by_person.get(person)
    if types is None:
        return []
    parts = select(quota, types, period, organisation)
    limit = quota.measure.best_platforms
    if limit is None or not parts:
        return parts
    outer = fact_window(quota, period)
    best = best_platforms(parts if outer == period else select(quota, types, outer, organisation), limit)
    return [part for part in parts if part.series.platform in best]


def of_unit(quota: Quota, unit: str, period: Period, facts: Facts, organisation: Organisation) -> list[Part]:
    """Return what is credited to a unit: each member's work on the days in the unit or below it."""
    whole = (1 << period.length) - 1
    credited: list[Part] = []
    for person, mask in organisation.masks_in((unit,), period).items():
        parts = of_person(quota, person, period, facts, organisation)
        if mask == whole:
            credited.extend(parts)
        else:
            credited.extend(kept for part in parts if (kept := keep(part, mask, period)) is not None)
    return credited
