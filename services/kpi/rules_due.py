"""What is due: targets scaled by due days, for persons, nested accounts, pairs, verified accounts and groups. Pure.

Source: handbook, "Dues" and "Counting". A due is exact and unrounded; 0 means no target.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from contracts.kpi import Quota
from services.kpi.facts import Account, Exact, Facts, Period, Series, fact_window
from services.kpi.organisation import Organisation, weekday_mask
from services.kpi.rules_select import account_of, of_person


class Due(NamedTuple):
    """An amount and the due days (as a mask of the period) over which it falls due."""

    amount: Exact
    mask: int

    def elapsed(self, period: Period, today: int) -> int:
        """Return the due days through yesterday."""
        past = today - period.first
        if past <= 0:
            return 0
        return (self.mask & ((1 << past) - 1)).bit_count()


NOTHING = Due(0, 0)


def scaled(target: int, days: int, of: int) -> Exact:
    """Return target x days / of, as an int where it is whole."""
    whole, rest = divmod(target * days, of)
    return whole if rest == 0 else Fraction(target * days, of)


def calendar_days(quota: Quota, period: Period) -> int:
    """Return the number of days over which a whole target is spread: all, or those on weekdays that are due."""
    if len(quota.due_weekdays) == 7:
        return period.length
    return weekday_mask(tuple(quota.due_weekdays), period).bit_count()


def _spread(quota: Quota, mask: int, period: Period) -> Due:
    if not quota.target or not mask:
        return NOTHING
    if not quota.prorated:
        return Due(quota.target, mask)
    return Due(scaled(quota.target, mask.bit_count(), calendar_days(quota, period)), mask)


def due_mask(quota: Quota, person: str, period: Period, organisation: Organisation) -> int:
    """Return the person's due days for the quota: in a bound group and not absent."""
    return person_dues(quota, period, organisation).get(person, NOTHING).mask


def person_due(quota: Quota, person: str, period: Period, organisation: Organisation) -> Due:
    """Return what is due of a person; of a nested best-accounts quota the due of one account."""
    return person_dues(quota, period, organisation).get(person, NOTHING)


def person_dues(quota: Quota, period: Period, organisation: Organisation) -> dict[str, Due]:
    """Return what is due of everybody bound on a due day; empty for a quota without target or bound units."""
    key = ("person_dues", id(quota), period.first, period.last)
    known = organisation.memo.get(key)
    if known is not None and known[0] is quota:  # the entry keeps the quota alive, so that its id is not used again
        dues: dict[str, Due] = known[1]
        return dues
    dues = {}
    if quota.target is not None and quota.binding.units:
        masks = organisation.due_masks(tuple(quota.binding.units), tuple(quota.due_weekdays), period)
        dues = {person: _spread(quota, mask, period) for person, mask in masks.items() if mask}
    organisation.remember(key, (quota, dues))
    return dues


def account_dues(
    quota: Quota,
    person: str,
    period: Period,
    facts: Facts,
    organisation: Organisation,
    parts: list[Series] | None = None,
) -> dict[Account, int]:
    """Return the accounts due of a person with their due days in the period (H-32a, e, f).

    Those registered to the person on any day of the quota's own period (month) on the days they are registered, and
    those used for this very quota in it on all the person's due days. `parts`: the person's series that count in the
    period, where they are at hand.
    """
    mine = due_mask(quota, person, period, organisation)
    if not mine or not quota.target:
        return {}
    outer = fact_window(quota, period)
    platform = quota.measure.accounts_platform or ""
    registered = organisation.registered_accounts(person, platform, outer)
    shift, whole = period.first - outer.first, (1 << period.length) - 1
    dues = {account: mask >> shift & whole & mine for account, mask in registered.items()}
    if parts is None or outer != period:
        parts = of_person(quota, person, outer, facts, organisation)
    for account in {account for part in parts if (account := account_of(part)) is not None}:
        if account not in registered:
            dues[account] = mine
    return {account: mask for account, mask in dues.items() if mask}


def dues_on(quota: Quota, account: Account, period: Period, facts: Facts, organisation: Organisation) -> dict[str, int]:
    """Return the due days of an account by person: its owner, and everybody who used it."""
    people = {series.person for kinds in facts.by_account.get(account, {}).values() for series in kinds}
    if account in organisation.owners:
        people.add(organisation.owners[account])
    masks = {who: account_dues(quota, who, period, facts, organisation).get(account, 0) for who in sorted(people)}
    return {person: mask for person, mask in masks.items() if mask}


def pair_due(quota: Quota, one: str, other: str, period: Period, organisation: Organisation) -> Due:
    """Return what is due of a pair: by the days on which both are due (H-32d)."""
    both = due_mask(quota, one, period, organisation) & due_mask(quota, other, period, organisation)
    return _spread(quota, both, period)


def verified_due(quota: Quota, account: Account, period: Period, organisation: Organisation) -> Due:
    """Return what is due for an account by the days on which it is registered and verified (H-33)."""
    if quota.measure.accounts != "verified" or account[0] != quota.measure.accounts_platform:
        return NOTHING
    mask = organisation.verified_mask(account, period) & weekday_mask(tuple(quota.due_weekdays), period)
    return _spread(quota, mask, period)


def group_due(quota: Quota, unit: str, period: Period, organisation: Organisation) -> Due:
    """Return what is due of a unit of the quota's kind that is bound: in full, whoever is in it (H-27, H-28)."""
    row = organisation.units.get(unit)
    if row is None or (quota.unit_kind is not None and row.kind != quota.unit_kind):
        return NOTHING
    if not any(above in quota.binding.units for above in organisation.above(unit)):
        return NOTHING
    return _spread(quota, weekday_mask(tuple(quota.due_weekdays), period), period)
