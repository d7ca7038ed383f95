"""Day facts and calendar periods: the only input of the KPI rules beside the organisation. Pure, no I/O, no clock.

A day is its proleptic Gregorian ordinal (`date.toordinal()`, an int); in SQL `day - date '0001-01-01' + 1`. Facts come
as one `Series` for each (person, type, platform, account, qualifiers) with the days that have a quantity above zero.
The store makes them with one query: group by series, `array_agg(day order by day)`, `array_agg(quantity order by day)`,
`sum(events)`, `max(last_commit)`, `where quantity > 0 and day between window.first and window.last`.
`platform` is never absent: it is the first word of the type where the event names none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from contracts.kpi import PeriodKind, Quota

Exact = int | Fraction  # always exact; an int wherever the figure is whole
Account = tuple[str, str]  # (platform, handle)

_MONTH = re.compile(r"(\d{4})-(\d{2})")
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month, an ISO week or a day; `first` and `last` are ordinals, both included."""

    kind: PeriodKind
    text: str  # "2026-10" | "2026-W43" | "2026-10-17"
    first: int
    last: int

    @property
    def length(self) -> int:
        """Return the number of calendar days."""
        return self.last - self.first + 1


def parse_period(text: str) -> Period:
    """Return the period that "2026-10", "2026-W43" or "2026-10-17" names; ValueError for anything else."""
    if match := _MONTH.fullmatch(text):
        return period_of("month", date(int(match[1]), int(match[2]), 1))
    if match := _WEEK.fullmatch(text):
        return period_of("week", date.fromisocalendar(int(match[1]), int(match[2]), 1))
    if match := _DAY.fullmatch(text):
        return period_of("day", date(int(match[1]), int(match[2]), int(match[3])))
    raise ValueError(f"not a period: {text!r}; write a month 2026-10, an ISO week 2026-W43 or a day 2026-10-17")


@lru_cache(maxsize=4096)
def period_of(kind: PeriodKind, day: date) -> Period:
    """Return the month, ISO week or day that contains `day`. Weeks are never split by month or year."""
    if kind == "day":
        return Period("day", day.isoformat(), day.toordinal(), day.toordinal())
    if kind == "week":
        year, week, weekday = day.isocalendar()
        monday = day.toordinal() - weekday + 1
        return Period("week", f"{year:04d}-W{week:02d}", monday, monday + 6)
    first = day.replace(day=1)
    after = date(day.year + 1, 1, 1) if day.month == 12 else date(day.year, day.month + 1, 1)
    return Period("month", f"{day.year:04d}-{day.month:02d}", first.toordinal(), after.toordinal() - 1)


def periods_touching(kind: PeriodKind, since: date, until: date) -> list[Period]:
    """Return the periods of a kind that share a day with [since, until]; a week that touches the range is whole."""
    found = []
    day = since.toordinal()
    while day <= until.toordinal():
        period = period_of(kind, date.fromordinal(day))
        found.append(period)
        day = period.last + 1
    return found


def fact_window(quota: Quota, period: Period) -> Period:
    """Return the period whose facts a figure needs: a day of H-32a needs its month's (accounts used in the month)."""
    if period.kind == quota.period:
        return period
    return period_of(quota.period, date.fromordinal(period.first))


class Fact(NamedTuple):
    """One day of one series: what tests and small inputs are written in."""

    person: str
    day: date
    type: str
    platform: str
    account: str | None = None
    on_topic: bool = True
    form: str | None = None
    counterpart: str | None = None
    campaign: str | None = None
    quantity: int = 1
    events: int = 1


class Series(NamedTuple):
    """What one person did of one kind with one account: `days` ascending ordinals, `quantities` > 0 beside them."""

    person: str
    type: str
    platform: str
    account: str | None
    on_topic: bool
    form: str | None
    counterpart: str | None
    campaign: str | None
    days: Sequence[int]
    quantities: Sequence[int]
    events: int = 0
    last_commit: int = 0  # number of the latest commit that touched it, of the person's ledger


class Facts:
    """The series of a window of days, indexed for the rules. Built once for each request and never changed.

    The window must contain every figure's `fact_window`; days outside a figure's period are left out by the rules.
    `window`, where given, is a promise that no series has a day outside it: figures of just that period are faster.
    """

    __slots__ = ("_by_account", "by_person", "window")

    def __init__(self, series: Iterable[Series], window: Period | None = None) -> None:
        self.window = window
        self.by_person: dict[str, dict[str, list[Series]]] = {}
        self._by_account: dict[Account, dict[str, list[Series]]] | None = None
        by_person = self.by_person
        for one in series:
            types = by_person.get(one.person)
            if types is None:
                types = by_person[one.person] = {}
            if one.type in types:
                types[one.type].append(one)
            else:
                types[one.type] = [one]

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> Facts:
        """Group single facts into series, adding up what falls on one day; days of quantity 0 vanish."""
        grouped: dict[tuple[object, ...], dict[int, list[int]]] = {}
        for fact in facts:
            key = (fact.person, fact.type, fact.platform, fact.account, fact.on_topic, fact.form)
            days = grouped.setdefault((*key, fact.counterpart, fact.campaign), {})
            day = days.setdefault(fact.day.toordinal(), [0, 0])
            day[0] += fact.quantity
            day[1] += fact.events
        return cls(_series(key, days) for key, days in grouped.items() if any(q > 0 for q, _ in days.values()))

    @property
    def by_account(self) -> dict[Account, dict[str, list[Series]]]:
        """Return everybody's series by account and type."""
        if self._by_account is None:
            self._by_account = {}
            for types in self.by_person.values():
                for name, series in types.items():
                    for one in series:
                        if one.account is not None:
                            mine = self._by_account.setdefault((one.platform, one.account), {})
                            mine.setdefault(name, []).append(one)
        return self._by_account


def whole(amount: Exact) -> Exact:
    """Return an int where the amount is whole."""
    return amount.numerator if amount.denominator == 1 else amount


def _series(key: tuple[object, ...], days: dict[int, list[int]]) -> Series:
    kept = sorted(day for day, (quantity, _) in days.items() if quantity > 0)
    quantities = tuple(days[day][0] for day in kept)
    events = sum(days[day][1] for day in kept)
    return Series._make((*key, tuple(kept), quantities, events, 0))
