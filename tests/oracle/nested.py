"""Quotas nested by account: forums (H-29) and blogs (H-32a, e, f).

`month_work` is everything the person did in the month: "All the person's work in the period counts".
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from tests.oracle.dues import due_days, share
from tests.oracle.intake import Activity
from tests.oracle.organisation import Account, Organisation, accounts_of, is_registered, people
from tests.oracle.sums import Work

DoneDue = tuple[Fraction, Fraction]


# --- H-29 -------------------------------------------------------------------------------------------------------------


def five_forums(month_work: Work) -> list[str]:
    """ "a person's five platforms with the most posts in the month; ties by name in code-point order"."""
    posts: dict[str, int] = {}
    for activity in month_work:
        if activity.type == "forum.post":
            posts[activity.platform] = posts.get(activity.platform, 0) + activity.quantity
    return sorted(posts, key=lambda platform: (-posts[platform], platform))[:5]


def forum_posts(work: Work, forums: list[str]) -> Work:
    return [activity for activity in work if activity.type == "forum.post" and activity.platform in forums]


def h_29a(posts: Work) -> int:
    """ "distinct accounts >= 2 per person per month; at most five forums count per person"."""
    return len({activity.account for activity in posts})


def h_29b(posts: Work, due: list[date], calendar: list[date]) -> DoneDue:
    """ "the best two accounts among them (ties by (platform, handle)), each capped at its due"; "29b scales the 30, not
    the two accounts"; "At due 0, `done` of 29b ... is capped by the unscaled target"."""
    by_account: dict[Account, int] = {}
    for activity in posts:
        assert activity.account is not None
        by_account[activity.account] = by_account.get(activity.account, 0) + activity.quantity
    best = sorted(by_account, key=lambda account: (-by_account[account], account))[:2]
    each = share(30, due, calendar)
    cap = each if each > 0 else Fraction(30)
    done = sum((min(Fraction(by_account[account]), cap) for account in best), Fraction(0))
    return done, 2 * each


# --- H-32a, e, f: the accounts that are due ---------------------------------------------------------------------------

BLOG_TYPES = {"H-32a": "blog.original", "H-32e": "blog.article_comment", "H-32f": "blog.thread_comment"}


def counts_for(quota: str, activity: Activity) -> bool:
    """on_topic matters for H-32a of these three only."""
    return activity.type == BLOG_TYPES[quota] and (activity.on_topic or quota != "H-32a")


def blog_dues(
    organisation: Organisation, quota: str, person: str, month_work: Work, month: list[date]
) -> dict[Account, list[date]]:
    """ "H-32a, e, f are due for the blog accounts registered to the person on any day of the month (on the days they
    are registered) and for the others they used for that very quota in the month (on all the person's due days)"."""
    due = due_days(organisation, person, month)
    result: dict[Account, list[date]] = {}
    for account in accounts_of(organisation, person, "blog"):
        registered = [day for day in month if is_registered(organisation, account, day)]
        if registered:
            result[account] = [day for day in due if day in registered]
    for activity in month_work:
        if counts_for(quota, activity) and activity.account is not None and activity.account not in result:
            result[activity.account] = due
    return result


# --- H-32a ------------------------------------------------------------------------------------------------------------


def posted(work: Work) -> set[tuple[Account, date]]:
    """ "H-32a asks only whether there was one that day"."""
    return {(a.account, a.day) for a in work if counts_for("H-32a", a) and a.account is not None}


def h_32a(dues: dict[Account, list[date]], month_work: Work, days: list[date]) -> DoneDue:
    """ "daily 1 per account; over a month, days met / days due"; "a person's day row is accounts met / accounts due";
    "At due 0 ... 32a shows all (account, day)s posted".

    `days` are the month's days, or the one day of a day row; the accounts due are the month's in either case.
    """
    due = {(account, day) for account, account_days in dues.items() for day in account_days if day in days}
    done = {(account, day) for account, day in posted(month_work) if day in days}
    if not due:
        return Fraction(len(done)), Fraction(0)
    return Fraction(len(done & due)), Fraction(len(due))


# --- H-32e, H-32f -----------------------------------------------------------------------------------------------------


def comments(quota: str, month_work: Work, account: Account) -> int:
    return sum(a.quantity for a in month_work if counts_for(quota, a) and a.account == account)


def h_32ef(quota: str, dues: dict[Account, list[date]], month_work: Work, month: list[date]) -> DoneDue:
    """ "32e, 32f: done = sum over accounts of min(comments, that account's due)"; each account's due is 30, by its days
    due; "At due 0, `done` of ... 32e, 32f is capped by the unscaled target"."""
    due_by_account = {account: share(30, days, month) for account, days in dues.items()}
    due = sum(due_by_account.values(), Fraction(0))
    done = Fraction(0)
    for account, account_due in due_by_account.items():
        cap = account_due if due > 0 else Fraction(30)
        done += min(Fraction(comments(quota, month_work, account)), cap)
    return done, due


# --- the same three by account ----------------------------------------------------------------------------------------


def account_dues(
    organisation: Organisation, quota: str, works: dict[str, Work], month: list[date]
) -> dict[Account, dict[str, list[date]]]:
    """Every account that is due for somebody or used by somebody, with the due days of each of these people."""
    result: dict[Account, dict[str, list[date]]] = {}
    for person in people(organisation):
        for account, days in blog_dues(organisation, quota, person, works[person], month).items():
            result.setdefault(account, {})[person] = days
    return result


def h_32a_account(account: Account, dues: dict[str, list[date]], works: dict[str, Work], days: list[date]) -> DoneDue:
    """ "A row of 32a for one (account, day) is 0 or 1": due when it is due for anybody that day, done when one of those
    for whom it is due posted; over the month, the days counted. At due 0 the days on which anybody posted."""
    due = 0
    done = 0
    done_by_anybody = 0
    for day in days:
        posters = {person for person in dues if (account, day) in posted(works[person])}
        due_for = {person for person in dues if day in dues[person]}
        due += 1 if due_for else 0
        done += 1 if due_for & posters else 0
        done_by_anybody += 1 if posters else 0
    return (Fraction(done), Fraction(due)) if due else (Fraction(done_by_anybody), Fraction(0))


def h_32ef_account(
    quota: str, account: Account, dues: dict[str, list[date]], works: dict[str, Work], month: list[date]
) -> DoneDue:
    """One account's part of its people's figures, added up: "a shared account counts for each person who used it"."""
    due = sum((share(30, days, month) for days in dues.values()), Fraction(0))
    done = Fraction(0)
    for person, days in dues.items():
        cap = share(30, days, month) if due > 0 else Fraction(30)
        done += min(Fraction(comments(quota, works[person], account)), cap)
    return done, due
