"""The organisation in memory, as the KPI rules ask it: who was where, absent, with which accounts, on which days.

Frozen: build a new one when org says something new. Sets of days are ints, bit i = day `first + i` of a period, so that
"in a bound group and not absent" is two machine operations; masks are computed on demand and kept. Pure, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from contracts.org import UnitKind
from services.kpi.facts import Account, Period

Span = tuple[int, int]  # first and last ordinal, both included
FAR = date.max.toordinal()
MEMO_LIMIT = 20_000


class UnitRow(NamedTuple):
    unit: str
    kind: UnitKind
    parent: str | None = None


class MembershipRow(NamedTuple):
    person: str
    unit: str
    since: date
    until: date | None = None  # the last day; None = open


class AbsenceRow(NamedTuple):
    person: str
    since: date
    until: date


class AccountRow(NamedTuple):
    """A promotional account; `registered` and `verified` are spans (since, until or None = open)."""

    platform: str
    handle: str
    owner: str | None
    registered: tuple[tuple[date, date | None], ...]
    verified: tuple[tuple[date, date | None], ...] = ()


class Organisation:
    """Units tree, memberships, absences and accounts with their spans of days."""

    def __init__(
        self,
        units: Iterable[UnitRow] = (),
        memberships: Iterable[MembershipRow] = (),
        absences: Iterable[AbsenceRow] = (),
        accounts: Iterable[AccountRow] = (),
    ) -> None:
        self.units = {row.unit: row for row in units}
        self._above = {unit: self._chain(unit) for unit in self.units}
        self._memberships: dict[str, list[tuple[str, Span]]] = {}
        self._direct: dict[str, set[str]] = {}
        for member in memberships:
            self._memberships.setdefault(member.person, []).append((member.unit, _span(member.since, member.until)))
            self._direct.setdefault(member.unit, set()).add(member.person)
        self._absences: dict[str, list[Span]] = {}
        for absence in absences:
            self._absences.setdefault(absence.person, []).append(_span(absence.since, absence.until))
        self._registered: dict[Account, list[Span]] = {}
        self._verified: dict[Account, list[Span]] = {}
        self.owners: dict[Account, str] = {}
        self._owned: dict[str, list[Account]] = {}
        for row in accounts:
            account = (row.platform, row.handle)
            self._registered[account] = [_span(*one) for one in row.registered]
            self._verified[account] = [_span(*one) for one in row.verified]
            if row.owner is not None:
                self.owners[account] = row.owner
                self._owned.setdefault(row.owner, []).append(account)
        self._below: dict[str, frozenset[str]] = {}
        self.memo: dict[object, Any] = {}  # what follows from this organisation alone, by question

    def remember(self, key: object, answer: Any) -> None:
        """Keep an answer that never changes for this organisation; forget all when there are very many."""
        if len(self.memo) > MEMO_LIMIT:
            self.memo.clear()
        self.memo[key] = answer

    def _chain(self, unit: str) -> tuple[str, ...]:
        chain: list[str] = []
        current: str | None = unit
        while current is not None and current not in chain:
            chain.append(current)
            row = self.units.get(current)
            current = row.parent if row else None
        return tuple(chain)

    # -- units and members ---------------------------------------------------------------------------------------
    def above(self, unit: str) -> tuple[str, ...]:
        """Return the unit and all units above it, nearest first."""
        return self._above.get(unit, (unit,))

    def below(self, unit: str) -> frozenset[str]:
        """Return the unit and all units below it."""
        if unit not in self._below:
            self._below[unit] = frozenset({unit} | {u for u, chain in self._above.items() if unit in chain})
        return self._below[unit]

    def units_of(self, person: str, day: date) -> list[str]:
        """Return the units that the person is directly in on the day."""
        on = day.toordinal()
        return sorted({u for u, (since, until) in self._memberships.get(person, ()) if since <= on <= until})

    def credited_units(self, person: str, day: date) -> list[str]:
        """Return the units that get the credit of the person's work on the day: each direct one, each above once."""
        return sorted({above for unit in self.units_of(person, day) for above in self.above(unit)})

    def masks_in(self, units: tuple[str, ...], period: Period) -> dict[str, int]:
        """Return person -> days of the period in any of the units, directly or below; only people with such a day."""
        key = ("masks_in", units, period.first, period.last)
        found: dict[str, int] | None = self.memo.get(key)
        if found is None:
            found = self._compute_masks_in(units, period)
            self.remember(key, found)
        return found

    def _compute_masks_in(self, units: tuple[str, ...], period: Period) -> dict[str, int]:
        inside: set[str] = set().union(*(self.below(unit) for unit in units)) if units else set()
        found: dict[str, int] = {}
        for person in sorted({person for unit in inside for person in self._direct.get(unit, ())}):
            mask = 0
            for unit, span in self._memberships[person]:
                if unit in inside:
                    mask |= _mask(span, period)
            if mask:
                found[person] = mask
        return found

    def members(self, unit: str, period: Period) -> list[str]:
        """Return everybody in the unit or below it on any day of the period."""
        return list(self.masks_in((unit,), period))

    def due_masks(self, units: tuple[str, ...], weekdays: tuple[int, ...], period: Period) -> dict[str, int]:
        """Return person -> due days: in one of the units, not absent, on a weekday that is due."""
        calendar = weekday_mask(weekdays, period)
        return {
            person: mask & calendar & ~self.absent_mask(person, period)
            for person, mask in self.masks_in(units, period).items()
        }

    def absent_mask(self, person: str, period: Period) -> int:
        """Return the days of the period on which the person is absent."""
        return _masks(self._absences.get(person, ()), period)

    # -- accounts ------------------------------------------------------------------------------------------------
    def registered_accounts(self, person: str, platform: str, period: Period) -> dict[Account, int]:
        """Return the person's accounts of a platform with the days of the period on which they are registered."""
        key = ("registered", person, platform, period.first, period.last)
        found: dict[Account, int] | None = self.memo.get(key)
        if found is None:
            mine = [account for account in self._owned.get(person, ()) if account[0] == platform]
            masks = {account: _masks(self._registered[account], period) for account in mine}
            found = {account: mask for account, mask in masks.items() if mask}
            self.remember(key, found)
        return found

    def verified_mask(self, account: Account, period: Period) -> int:
        """Return the days of the period on which the account is registered and verified."""
        spans = self._verified.get(account)
        if not spans:
            return 0
        key = ("verified", account, period.first, period.last)
        mask: int | None = self.memo.get(key)
        if mask is None:
            mask = _masks(spans, period) & _masks(self._registered[account], period)
            self.remember(key, mask)
        return mask

    def verified_accounts(self, platform: str, period: Period) -> dict[Account, int]:
        """Return the accounts of a platform registered and verified on any day of the period, with those days."""
        candidates = (account for account, spans in self._verified.items() if spans and account[0] == platform)
        return {account: mask for account in candidates if (mask := self.verified_mask(account, period))}


def weekday_mask(weekdays: tuple[int, ...], period: Period) -> int:
    """Return the days of the period that fall on the given ISO weekdays."""
    if len(weekdays) == 7:
        return (1 << period.length) - 1
    return sum(1 << i for i in range(period.length) if (period.first + i - 1) % 7 + 1 in weekdays)


def days_of(mask: int, period: Period) -> list[int]:
    """Return the ordinals that a mask stands for."""
    return [period.first + i for i in range(period.length) if mask >> i & 1]


def mask_of(days: Iterable[int], period: Period) -> int:
    """Return the mask of the given ordinals; days outside the period are left out."""
    mask = 0
    for day in days:
        if period.first <= day <= period.last:
            mask |= 1 << (day - period.first)
    return mask


def _span(since: date, until: date | None) -> Span:
    return since.toordinal(), FAR if until is None else until.toordinal()


def _mask(span: Span, period: Period) -> int:
    first, last = max(span[0], period.first), min(span[1], period.last)
    return ((1 << (last - first + 1)) - 1) << (first - period.first) if first <= last else 0


def _masks(spans: Iterable[Span], period: Period) -> int:
    mask = 0
    for span in spans:
        mask |= _mask(span, period)
    return mask
