"""Nested blog quotas (H-32a, b, e, f): which accounts are due on which days, and what of it is done."""

from __future__ import annotations

from fractions import Fraction

from tests.kpi.rules_given import given

OCT = "2026-10"


def test_every_registered_account_owes_one_original_a_day() -> None:
    case = given("A").account("blog", "x", "A").account("blog", "y", "A")
    case.did_daily("A", "2026-10-01", 31, "blog.original", account="x").did(
        "A", "2026-10-05", "blog.original", account="y"
    )
    figure = case.figure("H-32a", "A", OCT)
    assert (figure.done, figure.due, figure.status) == (32, 62, "missed")


def test_it_asks_only_whether_there_was_one_that_day() -> None:
    case = given("A").account("blog", "x", "A").did("A", "2026-10-05", "blog.original", 9, account="x")
    assert case.figure("H-32a", "A", OCT).done == 1


def test_off_topic_posts_neither_meet_nor_use() -> None:
    case = given("A").did("A", "2026-10-05", "blog.original", account="x", on_topic=False)
    figure = case.figure("H-32a", "A", OCT)
    assert (figure.done, figure.due, figure.status) == (0, 0, "no_target")


def test_an_account_used_but_not_registered_to_the_person_is_due_on_all_his_due_days() -> None:
    case = given("A", "B").account("blog", "x", "B").did("A", "2026-10-05", "blog.original", account="x")
    assert (case.figure("H-32a", "A", OCT).done, case.figure("H-32a", "A", OCT).due) == (1, 31)


def test_somebody_elses_post_on_my_account_is_not_mine() -> None:
    case = given("A", "B").account("blog", "x", "A").did("B", "2026-10-05", "blog.original", account="x")
    assert (case.figure("H-32a", "A", OCT).done, case.figure("H-32a", "A", OCT).due) == (0, 31)


def test_a_registered_account_is_due_on_the_days_it_is_registered_only() -> None:
    case = given("A").account("blog", "x", "A", since="2026-10-22", until="2026-10-25")
    case.did("A", "2026-10-21", "blog.original", account="x").did("A", "2026-10-22", "blog.original", account="x")
    figure = case.figure("H-32a", "A", OCT)
    assert (figure.done, figure.due) == (1, 4)


def test_absent_days_are_not_due_and_a_post_on_them_repairs_nothing() -> None:
    case = given("A").account("blog", "x", "A").absent("A", "2026-10-05", "2026-10-06")
    case.did("A", "2026-10-05", "blog.original", account="x")
    figure = case.figure("H-32a", "A", OCT)
    assert (figure.done, figure.due) == (0, 29)


def test_without_a_due_all_account_days_posted_are_shown() -> None:
    case = given().member("A", "design").account("blog", "x", "A")
    case.did("A", "2026-10-05", "blog.original", account="x").did("A", "2026-10-05", "blog.original", account="y")
    figure = case.figure("H-32a", "A", OCT)
    assert (figure.done, figure.due, figure.status) == (2, 0, "no_target")


def test_a_days_row_is_accounts_met_of_accounts_due() -> None:
    case = given("A").account("blog", "x", "A").account("blog", "y", "A")
    case.did("A", "2026-10-05", "blog.original", 3, account="x").did("A", "2026-10-20", "blog.original", account="z")
    figure = case.figure("H-32a", "A", "2026-10-05")
    assert (figure.done, figure.due) == (1, 3)  # z, used later in the month, is due on every day of it
    row = case.figure("H-32a", "blog/x", "2026-10-05", scope="account", person="A")
    assert (row.done, row.due) == (1, 1)


def test_the_month_is_the_sum_of_its_days() -> None:
    case = given("A").account("blog", "x", "A", since="2026-10-10").absent("A", "2026-10-12", "2026-10-13")
    case.did_daily("A", "2026-10-08", 6, "blog.original", account="x").did(
        "A", "2026-10-20", "blog.original", account="z"
    )
    days = [case.figure("H-32a", "A", f"2026-10-{d:02d}") for d in range(1, 32)]
    month = case.figure("H-32a", "A", OCT)
    assert sum(f.due for f in days) == month.due
    assert sum(f.done for f in days if f.due) == month.done


def test_account_rows_exist_where_done_or_due_is_above_zero() -> None:
    case = given("A", "B").account("blog", "x", "A").account("blog", "gone", "A", until="2026-09-30")
    case.account("weibo", "w", "A").did("B", "2026-10-05", "blog.article_comment", account="y")
    assert case.ids("H-32e", OCT, "account") == ["blog/x", "blog/y"]


def test_account_rows_add_up_to_the_persons_row() -> None:
    case = given("A").account("blog", "x", "A").account("blog", "y", "A", since="2026-10-20")
    case.did("A", "2026-10-05", "blog.article_comment", 40, account="x")
    case.did("A", "2026-10-05", "blog.article_comment", 6, account="z")
    parts = [case.figure("H-32e", one, OCT, scope="account") for one in case.ids("H-32e", OCT, "account")]
    whole = case.figure("H-32e", "A", OCT)
    assert sum(p.done for p in parts) == whole.done == 36
    assert sum(p.due for p in parts) == whole.due == 60 + Fraction(30 * 12, 31)


def test_a_shared_accounts_day_is_due_once_and_met_once() -> None:
    case = given("A", "B").member("C", "design").account("blog", "x", "A")
    case.did("A", "2026-10-05", "blog.original", account="x").did("B", "2026-10-05", "blog.original", account="x")
    case.did("B", "2026-10-06", "blog.original", account="x").did("C", "2026-10-07", "blog.original", account="x")
    row = case.figure("H-32a", "blog/x", OCT, scope="account")
    assert (row.done, row.due) == (2, 31)  # the 7th was posted by somebody of whom nothing is due
    assert (case.figure("H-32a", "blog/x", "2026-10-05", scope="account").done) == 1
    assert {fact.day.day for fact in case.evidence("H-32a", "blog/x", OCT, "account")} == {5, 6}


def test_a_shared_accounts_comments_are_capped_by_each_users_own_due() -> None:
    case = given("A").member("B", "commercial", "2026-10-20").member("C", "design").account("blog", "x", "A")
    case.did("A", "2026-10-05", "blog.article_comment", 40, account="x")
    case.did("B", "2026-10-25", "blog.article_comment", 5, account="x")
    case.did("C", "2026-10-25", "blog.article_comment", 7, account="x")
    row = case.figure("H-32e", "blog/x", OCT, scope="account")
    assert (row.done, row.due) == (35, 30 + Fraction(30 * 12, 31))


def test_comments_are_capped_at_each_accounts_own_due() -> None:
    case = given("A").account("blog", "x", "A", since="2026-10-20")
    case.did("A", "2026-10-25", "blog.thread_comment", 40, account="x")
    figure = case.figure("H-32f", "A", OCT)
    assert figure.done == figure.due == Fraction(30 * 12, 31)
    assert figure.status == "met"


def test_used_means_used_for_that_very_quota() -> None:
    case = given("A").did("A", "2026-10-05", "blog.article_comment", account="z")
    assert case.figure("H-32e", "A", OCT).due == 30
    assert case.figure("H-32f", "A", OCT).due == 0
    assert case.figure("H-32a", "A", OCT).due == 0


def test_without_a_due_comments_are_capped_by_the_unscaled_target() -> None:
    case = given().member("A", "design").did("A", "2026-10-05", "blog.article_comment", 50, account="x")
    case.did("A", "2026-10-05", "blog.article_comment", 5, account="y")
    assert (case.figure("H-32e", "A", OCT).done, case.figure("H-32e", "A", OCT).due) == (35, 0)


def test_blog_accounts_used_are_originals_on_topic_verified_replies_and_both_comments() -> None:
    case = given("A").account("blog", "v", "A", verified=("2026-10-10", None))
    case.did("A", "2026-10-05", "blog.original", account="a").did(
        "A", "2026-10-05", "blog.article_comment", account="b"
    )
    case.did("A", "2026-10-05", "blog.thread_comment", account="c")
    case.did("A", "2026-10-05", "blog.original", account="off", on_topic=False)
    case.did("A", "2026-10-05", "blog.reply", account="v")  # not yet verified
    case.did("A", "2026-10-05", "blog.exchange_comment", account="d", counterpart="B")
    assert case.figure("H-32b", "A", OCT).done == 3
    case.did("A", "2026-10-10", "blog.reply", account="v")
    assert case.figure("H-32b", "A", OCT).done == 4


def test_clients_accounts_count_like_own_ones() -> None:
    case = given("A").account("blog", "client-blog", "A")
    assert case.figure("H-32a", "A", OCT).due == 31


def test_evidence_shows_only_posts_on_due_account_days() -> None:
    case = given("A").account("blog", "x", "A", since="2026-10-10").absent("A", "2026-10-12", "2026-10-12")
    case.did_daily("A", "2026-10-08", 6, "blog.original", account="x")
    assert [f.day.day for f in case.evidence("H-32a", "A", OCT)] == [10, 11, 13]
    assert case.figure("H-32a", "A", OCT).done == 3


def test_a_unit_counts_person_account_days_posted() -> None:
    case = given("A", "B").account("blog", "x", "A", since="2026-10-10")
    case.did("A", "2026-10-05", "blog.original", 4, account="x").did("B", "2026-10-05", "blog.original", account="x")
    assert case.figure("H-32a", "commercial", OCT, scope="unit").done == 2


def test_status_weighs_due_days_elapsed() -> None:
    case = given("A").account("blog", "x", "A").did_daily("A", "2026-10-01", 5, "blog.original", account="x")
    assert case.figure("H-32a", "A", OCT, today="2026-10-06").status == "on_track"
    assert case.figure("H-32a", "A", OCT, today="2026-10-07").status == "at_risk"
