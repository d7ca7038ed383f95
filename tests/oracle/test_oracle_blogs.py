"""H-32a, e, f by account, H-32d by pair, H-33 by verified account: worked out by hand."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

from tests.oracle.small import Rows, account, event, member, organisation, person


def original(who: str, day: str, handle: str, **data: Any) -> dict[str, Any]:
    return event("blog.original", who, day, account=handle, **data)


def test_h32a_one_a_day_on_every_account_registered_or_used() -> None:
    org = organisation(
        account("blog", "mine", "A", registered=("2026-10-30", None)),  # due on the 30th and 31st
        account("blog", "idle", "A", registered=("2026-11-01", None)),  # not in October, and not used: not due
        account("blog", "yours", "B"),
    )
    events = [
        original("A", "2026-10-30", "mine"),
        original("A", "2026-10-30", "mine", quantity=5),  # "asks only whether there was one that day"
        original("A", "2026-10-29", "mine"),  # before its registration: recorded, due on no such day
        original("A", "2026-10-05", "yours"),  # used by A: due on all 31 days of A, too
        original("A", "2026-10-31", "mine", on_topic=False),
        original("B", "2026-10-31", "mine"),  # "somebody else's post on my account is not mine"
    ]
    rows = Rows(org, *events)
    assert rows("H-32a", "person", "A") == (2, 2 + 31)
    assert rows("H-32a", "person", "B") == (1, 31 + 31)  # yours is registered to B, mine is used by B
    assert rows("H-32a", "person", "C") == (0, 0)
    # (person, account, day)s posted: A mine 29, 30; A yours 5; B mine 31; due or not
    assert rows("H-32a", "unit", "commercial") == (4, 0)

    thirtieth = Rows(org, *events, period="2026-10-30")
    assert thirtieth("H-32a", "person", "A") == (1, 2)  # mine met; yours due, because used on the 5th
    assert thirtieth("H-32a", "account", "blog/mine") == (1, 1)
    assert thirtieth("H-32a", "account", "blog/yours") == (0, 1)
    assert thirtieth("H-32a", "unit", "centre") == (1, 0)
    assert Rows(org, *events, period="2026-10-01")("H-32a", "account", "blog/idle") is None


def test_h32a_of_an_account_is_one_a_day_however_many_people_owe_it() -> None:
    shared = account("blog", "s", "A")
    rows = Rows(organisation(shared), original("A", "2026-10-05", "s"), original("B", "2026-10-05", "s"))
    assert rows("H-32a", "account", "blog/s") == (1, 31)
    assert rows("H-32a", "person", "A") == rows("H-32a", "person", "B") == (1, 31)
    assert rows("H-32a", "unit", "commercial") == (2, 0)


def test_h32a_with_nothing_due_shows_all_that_was_posted() -> None:
    org = organisation(account("blog", "s", "D"))
    rows = Rows(org, original("D", "2026-10-05", "s"), original("D", "2026-10-06", "s"))
    assert rows("H-32a", "person", "D") == (2, 0)
    assert rows("H-32a", "account", "blog/s") == (2, 0)
    day = Rows(org, original("D", "2026-10-05", "s"), period="2026-10-05")
    assert day("H-32a", "person", "D") == (1, 0)
    assert day("H-32a", "person", "A") == (0, 0)  # bound that day: a row, though no account is due


def test_h32a_an_absent_day_is_not_due_but_its_post_is_shown_on_the_day() -> None:
    away = person("A", member("commercial"), absences=(("2026-10-01", "2026-10-10"),))
    org = organisation(account("blog", "s", "A"), people=(away,))
    post = original("A", "2026-10-05", "s")
    assert Rows(org, post)("H-32a", "person", "A") == (0, 21)
    assert Rows(org, post, period="2026-10-05")("H-32a", "person", "A") == (1, 0)


def test_h32e_each_account_up_to_its_own_due() -> None:
    org = organisation(
        account("blog", "full", "A"),
        account("blog", "late", "A", registered=("2026-10-22", None)),  # 10 of 31 days: 300/31 due
        account("blog", "other", "B"),
    )
    events = [
        event("blog.article_comment", "A", account="full", quantity=50),  # 30 count
        event("blog.article_comment", "A", account="late", quantity=4),
        event("blog.article_comment", "A", account="other", quantity=2),
        event("blog.thread_comment", "A", account="full", quantity=9),
        event("blog.article_comment", "D", account="other", quantity=40),  # not bound: nothing due
    ]
    rows = Rows(org, *events)
    assert rows("H-32e", "person", "A") == (36, 30 + F(300, 31) + 30)
    assert rows("H-32f", "person", "A") == (9, 30 + F(300, 31))  # `other` was not used for 32f
    assert rows("H-32e", "person", "D") == (30, 0)  # at due 0 capped by the unscaled target
    assert rows("H-32e", "account", "blog/late") == (4, F(300, 31))
    assert rows("H-32e", "account", "blog/full") == (30, 30)
    assert rows("H-32e", "unit", "commercial") == (56, 0)  # uncapped
    assert rows("H-32e", "unit", "centre") == (96, 0)


def test_h32d_a_pair_is_unordered_and_exists_with_its_first_comment() -> None:
    away = person("B", member("commercial"), absences=(("2026-10-25", "2026-10-27"),))
    org = organisation(people=(away,))
    events = [
        event("blog.exchange_comment", "A", "2026-10-26", counterpart="B", quantity=10),
        event("blog.exchange_comment", "B", "2026-11-01", counterpart="A", quantity=9, on_topic=False),
        event("blog.exchange_comment", "A", "2026-11-02", counterpart="B"),  # the next week
        event("blog.exchange_comment", "D", "2026-10-26", counterpart="A"),
    ]
    rows = Rows(org, *events, period="2026-W44")  # 26 October to 1 November, not split by the month
    assert rows("H-32d", "pair", "A+B") == (19, F(30 * 5, 7))  # B is absent on the 26th and 27th
    assert rows("H-32d", "pair", "A+D") == (1, 0)  # D is bound by nothing
    assert rows("H-32d", "pair", "A+C") is None
    assert rows("H-32d", "unit", "commercial") == (19, 0)
    assert rows("H-32d", "unit", "channel") == (1, 0)
    assert rows("H-32d", "unit", "promotion") == (20, 0)


def test_h33_every_verified_account_by_its_days_whoever_updates_it() -> None:
    org = organisation(
        account("encyclopedia", "idle", "A", verified=("2026-01-01", None)),
        account("encyclopedia", "new", None, verified=("2026-10-28", None)),  # 5 of 7 days
        account("encyclopedia", "plain", "A"),
        account("encyclopedia", "lapsed", "A", registered=("2026-01-01", "2026-10-26"), verified=("2026-01-01", None)),
        account("wiki", "other", "A", verified=("2026-01-01", None)),
    )
    events = [
        event("encyclopedia.update", "D", "2026-10-28", account="new", quantity=2),
        event("encyclopedia.update", "D", "2026-10-27", account="new"),  # not yet verified
        event("encyclopedia.update", "A", "2026-10-28", account="plain"),
        event("encyclopedia.update", "A", "2026-10-28", account="lapsed"),  # verified, but no longer registered
        event("encyclopedia.update", "A", "2026-10-28", platform="wiki", account="other"),
    ]
    rows = Rows(org, *events, period="2026-W44")
    assert rows("H-33", "account", "encyclopedia/idle") == (0, 2)
    assert rows("H-33", "account", "encyclopedia/new") == (2, F(10, 7))
    assert rows("H-33", "account", "encyclopedia/plain") is None
    assert rows("H-33", "account", "encyclopedia/lapsed") == (0, F(2, 7))
    assert rows("H-33", "account", "wiki/other") == (1, 0)
    assert rows("H-33", "unit", "channel") == (2, 0)
    assert rows("H-33", "unit", "centre") == (3, 0)
