"""The two weekly quotas: H-32d of a pair, H-33 of an account. "a weekly quota has weekly figures only"."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from tests.oracle.dues import share
from tests.oracle.intake import Activity
from tests.oracle.organisation import Account, Organisation, accounts_on, is_due_day, is_verified
from tests.oracle.sums import Work

Pair = tuple[str, str]


def pair_of(activity: Activity) -> Pair:
    """ "a pair is unordered"."""
    assert activity.counterpart is not None
    first, second = sorted((activity.subject, activity.counterpart))
    return first, second


def h_32d(work: Work) -> int:
    """ "comments between two named people, both directions together"."""
    return sum(activity.quantity for activity in work if activity.type == "blog.exchange_comment")


def pairs(week_work: Work) -> dict[Pair, Work]:
    """ "has a figure in a week with at least one counting comment"."""
    found: dict[Pair, Work] = {}
    for activity in week_work:
        if activity.type == "blog.exchange_comment":
            found.setdefault(pair_of(activity), []).append(activity)
    return found


def pair_due_days(organisation: Organisation, pair: Pair, week: list[date]) -> list[date]:
    """ "32d: days on which both are due, of seven"."""
    return [day for day in week if all(is_due_day(organisation, person, day) for person in pair)]


def h_32d_due(due: list[date], week: list[date]) -> Fraction:
    return share(30, due, week)


def h_33(work: Work) -> int:
    """ "profile of a verified account updated"; "only verified accounts", on the day of the event."""
    return sum(activity.quantity for activity in work if activity.type == "encyclopedia.update" and activity.verified)


def updated_accounts(week_work: Work) -> set[Account]:
    return {a.account for a in week_work if a.type == "encyclopedia.update" and a.verified and a.account is not None}


def verified_days(organisation: Organisation, account: Account, week: list[date]) -> list[date]:
    """ "H-33 is due for every verified account of platform encyclopedia, by the days on record in the week, zero
    included"; "H-33's days on record are days registered and verified; verified accounts of other platforms have no
    target there"."""
    if account not in accounts_on(organisation, "encyclopedia"):
        return []
    return [day for day in week if is_verified(organisation, account, day)]


def h_33_due(verified: list[date], week: list[date]) -> Fraction:
    """ "count >= 2 per verified account per ISO week"."""
    return share(2, verified, week)
