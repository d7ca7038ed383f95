"""Dues, periods and status: the handbook's "Dues", "Time" and "Status", sentence by sentence."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from services.kpi.facts import parse_period, period_of, periods_touching
from services.kpi.rules_due import scaled
from tests.kpi.rules_given import given, quotas


# -- time -----------------------------------------------------------------------------------------------------------
def test_weeks_are_iso_weeks_never_split_by_month_or_year() -> None:
    week = parse_period("2026-W53")
    assert date.fromordinal(week.first) == date(2026, 12, 28)
    assert date.fromordinal(week.last) == date(2027, 1, 3)
    assert period_of("week", date(2027, 1, 1)).text == "2026-W53"


def test_a_week_across_two_months_counts_both_parts() -> None:
    case = given("A", "B")
    case.did("A", "2026-09-30", "blog.exchange_comment", 10, counterpart="B")
    case.did("B", "2026-10-01", "blog.exchange_comment", 20, counterpart="A")
    assert case.figure("H-32d", "A+B", "2026-W40").done == 30


def test_a_week_that_touches_the_asked_range_is_whole() -> None:
    found = periods_touching("week", date(2026, 10, 1), date(2026, 10, 31))
    assert [p.text for p in found] == ["2026-W40", "2026-W41", "2026-W42", "2026-W43", "2026-W44"]
    assert date.fromordinal(found[0].first) == date(2026, 9, 28)


@pytest.mark.parametrize(("text", "days"), [("2024-02", 29), ("2026-02", 28), ("2026-10", 31), ("2026-11", 30)])
def test_months_have_their_calendar_days(text: str, days: int) -> None:
    assert parse_period(text).length == days


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-W54", "2026-02-29", "2026-1", "2025-W53", "oktober"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_period(text)


def test_a_weekly_quota_has_weekly_figures_only_and_a_monthly_one_monthly_only() -> None:
    case = given("A", "B").did("A", "2026-10-14", "blog.exchange_comment", counterpart="B")
    assert case.ids("H-32d", "2026-W42") == ["A+B"]
    assert case.ids("H-32d", "2026-10") == []
    assert case.ids("H-26b", "2026-W42") == []
    assert case.ids("H-32a", "2026-10-14") == ["A", "B"]
    assert case.ids("H-32a", "2026-W42") == []


# -- dues -----------------------------------------------------------------------------------------------------------
def test_a_whole_month_in_a_bound_group_owes_the_whole_target() -> None:
    figure = given("A").figure("H-26b", "A", "2026-10")
    assert (figure.due, figure.done, figure.due_days, figure.status) == (30, 0, 31, "missed")


def test_a_joiner_owes_by_his_days_exact_and_unrounded() -> None:
    figure = given().member("A", "commercial", "2026-10-20").figure("H-26b", "A", "2026-10")
    assert figure.due == Fraction(30 * 12, 31)


def test_a_leaver_owes_through_his_last_day() -> None:
    figure = given().member("A", "public-interest", "2026-01-01", "2026-10-10").figure("H-26b", "A", "2026-10")
    assert figure.due == Fraction(30 * 10, 31)


def test_absent_days_are_not_due() -> None:
    figure = given("A").absent("A", "2026-10-01", "2026-10-07").figure("H-35a", "A", "2026-10")
    assert figure.due == Fraction(100 * 24, 31)


def test_overlapping_absences_count_once() -> None:
    case = given("A").absent("A", "2026-10-01", "2026-10-07").absent("A", "2026-10-05", "2026-10-08")
    assert case.figure("H-35a", "A", "2026-10").due == Fraction(100 * 23, 31)


def test_moving_between_bound_groups_changes_nothing() -> None:
    case = given().member("A", "commercial", until="2026-10-12").member("A", "public-interest", "2026-10-13")
    assert case.figure("H-26b", "A", "2026-10").due == 30


def test_in_several_groups_at_once_a_person_is_bound_if_any_binds() -> None:
    case = given("A").member("A", "design").member("A", "public-interest")
    assert case.figure("H-26b", "A", "2026-10").due == 30


def test_february_of_a_leap_year_divides_by_twenty_nine() -> None:
    figure = given().member("A", "commercial", "2028-02-29").figure("H-26b", "A", "2028-02")
    assert figure.due == Fraction(30, 29)


def test_accounts_and_originals_are_scaled_too() -> None:
    case = given().member("A", "commercial", "2026-10-20")
    for quota, target in (("H-26a", 1), ("H-29a", 2), ("H-32b", 5), ("H-35c-weibo", 1), ("H-35d-wechat", 5)):
        assert case.figure(quota, "A", "2026-10").due == Fraction(target * 12, 31), quota


def test_all_work_in_the_period_counts_absent_days_and_other_groups_included() -> None:
    case = given().member("A", "channel", until="2026-10-12").member("A", "commercial", "2026-10-13")
    case.absent("A", "2026-10-20", "2026-10-21")
    case.did("A", "2026-10-02", "qq.comment", 5, account="q").did("A", "2026-10-20", "qq.comment", 7, account="q")
    assert case.figure("H-26b", "A", "2026-10").done == 12


def test_due_zero_is_no_target_no_ratio_no_verdict_and_done_still_shown() -> None:
    case = given().member("A", "design").did("A", "2026-10-02", "qq.comment", 5, account="q")
    figure = case.figure("H-26b", "A", "2026-10")
    assert (figure.done, figure.due, figure.ratio, figure.status) == (5, 0, None, "no_target")


def test_the_ratio_is_exact_and_uncapped() -> None:
    figure = given("A").did("A", "2026-10-02", "qq.comment", 40, account="q").figure("H-26b", "A", "2026-10")
    assert figure.ratio == Fraction(4, 3)


def test_met_is_done_at_least_due() -> None:
    case = given().member("A", "commercial", "2026-10-20")  # due 360/31 = 11.6
    case.did("A", "2026-10-21", "qq.comment", 11, account="q")
    assert case.figure("H-26b", "A", "2026-10").status == "missed"
    case.did("A", "2026-10-22", "qq.comment", 1, account="q")
    assert case.figure("H-26b", "A", "2026-10").status == "met"


def test_weekdays_that_are_due_are_data() -> None:
    quota = quotas()["H-26b"].model_copy(update={"due_weekdays": [1, 2, 3, 4, 5]})
    assert given("A").figure(quota, "A", "2026-10").due == 30
    half = given().member("A", "commercial", "2026-10-31").figure(quota, "A", "2026-10")  # a Saturday
    assert half.due == 0


# -- group quotas ---------------------------------------------------------------------------------------------------
def test_group_quotas_are_due_in_full_and_never_prorated() -> None:
    case = given().member("A", "commercial", "2026-10-30").absent("A", "2026-10-30", "2026-10-31")
    assert case.figure("H-27", "commercial", "2026-10").due == 10_000
    assert case.figure("H-28", "public-interest", "2026-10").due == 200


def test_other_units_are_counted_without_target() -> None:
    case = given().member("A", "design").did("A", "2026-10-05", "email.sent", 900)
    for unit in ("design", "creative", "centre", "promotion"):
        assert case.figure("H-27", unit, "2026-10").due == 0
    assert case.figure("H-27", "design", "2026-10").done == 900


def test_email_sums_the_quantity_of_the_whole_group() -> None:
    case = given("A", "B").did("A", "2026-10-05", "email.sent", 6000).did("B", "2026-10-06", "email.sent", 4000)
    assert case.figure("H-27", "commercial", "2026-10").status == "met"


# -- rows -----------------------------------------------------------------------------------------------------------
def test_everybody_bound_on_any_day_has_a_row_even_absent_all_the_time() -> None:
    case = given("A").absent("A", "2026-10-01", "2026-10-31").member("B", "commercial", until="2026-10-01")
    case.member("C", "commercial", until="2026-09-30").member("D", "design")
    assert case.ids("H-26b", "2026-10") == ["A", "B"]


def test_others_have_a_row_where_something_was_done() -> None:
    case = given("A").member("D", "design").did("D", "2026-10-05", "qq.comment", account="q")
    case.did("E", "2026-10-05", "qq.comment", account="q")
    assert case.ids("H-26b", "2026-10") == ["A", "D", "E"]


def test_duties_without_target_list_bound_people_with_zero() -> None:
    assert given("A").ids("H-34", "2026-10") == ["A"]
    assert given("A").ids("H-20", "2026-10") == []


# -- status ---------------------------------------------------------------------------------------------------------
def _behind(today: str, done: int = 0, since: str = "2026-01-01") -> str:
    case = given().member("A", "commercial", since)
    if done:
        case.did("A", "2026-10-01", "qq.comment", done, account="q")
    return case.figure("H-26b", "A", "2026-10", today).status


def test_on_track_on_the_first_day_because_no_due_day_has_elapsed() -> None:
    assert _behind("2026-10-01") == "on_track"


def test_behind_after_one_due_day_and_at_risk_after_three() -> None:
    assert [_behind(f"2026-10-0{d}") for d in (2, 3, 4)] == ["behind", "behind", "at_risk"]


def test_on_track_exactly_on_the_line_through_yesterday() -> None:
    # 30 x 10 / 31 = 9.68 is due through the 10th
    assert _behind("2026-10-11", 9) == "at_risk"
    assert _behind("2026-10-11", 10) == "on_track"


def test_elapsed_days_are_due_days_so_a_joiner_starts_at_zero() -> None:
    assert _behind("2026-10-20", since="2026-10-20") == "on_track"
    assert _behind("2026-10-21", since="2026-10-20") == "behind"


def test_the_last_day_still_runs_and_the_day_after_judges() -> None:
    assert _behind("2026-10-31") == "at_risk"
    assert _behind("2026-10-31", 30) == "on_track"
    assert _behind("2026-11-01", 30) == "met"
    assert _behind("2026-11-01", 29) == "missed"


def test_scaling_keeps_whole_amounts_as_ints() -> None:
    assert scaled(30, 31, 31) == 30
    assert isinstance(scaled(30, 31, 31), int)
    assert scaled(7, 2, 7) == 2
