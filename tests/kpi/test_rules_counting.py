"""What counts: the handbook's "Counting", "Roll-up" and "Small print", sentence by sentence."""

from __future__ import annotations

from fractions import Fraction

import pytest

from contracts.kpi import Quota
from services.kpi.rules_rows import in_force
from tests.kpi.rules_given import given, quotas

OCT = "2026-10"


# -- counts ---------------------------------------------------------------------------------------------------------
def test_an_event_stands_for_its_quantity() -> None:
    case = given("A").did("A", "2026-10-01", "weibo.post", 7, account="w", form="share")
    assert case.figure("H-35a", "A", OCT).done == 7


def test_weibo_and_wechat_are_apart() -> None:
    case = given("A").did("A", "2026-10-01", "weibo.post", 7, account="w", form="share")
    assert case.figure("H-35b", "A", OCT).done == 0


def test_only_originals_count_as_originals_each_of_weibo_and_wechat() -> None:
    case = given("A").did("A", "2026-10-01", "weibo.post", 7, account="w", form="share")
    assert case.figure("H-35c-weibo", "A", OCT).status == "missed"
    case.did("A", "2026-10-01", "weibo.post", account="w", form="original")
    assert case.figure("H-35c-weibo", "A", OCT).status == "met"
    assert case.figure("H-35c-wechat", "A", OCT).status == "missed"


@pytest.mark.parametrize(
    ("quota", "type"),
    [("H-30a", "baidu_qa.answer"), ("H-30b", "baidu_qa.question"), ("H-31a", "qa.answer"), ("H-31b", "qa.question")],
)
def test_questions_and_answers_count_on_topic_only(quota: str, type: str) -> None:
    case = given("A").did("A", "2026-10-01", type, 3, on_topic=False).did("A", "2026-10-02", type, 4)
    assert case.figure(quota, "A", OCT).done == 4


def test_on_topic_does_not_matter_elsewhere() -> None:
    case = given("A").did("A", "2026-10-01", "qq.comment", 3, account="q", on_topic=False)
    case.did("A", "2026-10-01", "blog.article_comment", 3, account="b", on_topic=False)
    assert case.figure("H-26b", "A", OCT).done == 3
    assert case.figure("H-32e", "A", OCT).done == 3


def test_an_account_is_platform_and_handle_exact_strings() -> None:
    case = given("A").did("A", "2026-10-01", "weibo.post", account="w", form="share")
    case.did("A", "2026-10-01", "weibo.post", account="W", form="share")
    case.did("A", "2026-10-01", "weibo.post", account="w", form="share", platform="weibo-pro")
    assert case.figure("H-35d-weibo", "A", OCT).done == 3


def test_a_shared_account_counts_for_each_who_used_it() -> None:
    case = given("A", "B").account("qq", "q", "A")
    case.did("A", "2026-10-01", "qq.comment", account="q").did("B", "2026-10-01", "qq.link", account="q")
    assert case.figure("H-26a", "A", OCT).done == 1
    assert case.figure("H-26a", "B", OCT).done == 1
    assert case.figure("H-26a", "commercial", OCT, scope="unit").done == 1


def test_accounts_registered_but_not_used_do_not_count() -> None:
    assert given("A").account("qq", "q", "A").figure("H-26a", "A", OCT).done == 0


def test_work_on_days_outside_the_period_does_not_count() -> None:
    case = given("A").did_daily("A", "2026-09-30", 33, "qq.link", account="q")
    assert case.figure("H-26c", "A", OCT).done == 31


def test_a_campaign_is_complete_when_plan_run_and_report_exist() -> None:
    case = given("A").member("B", "commercial")
    for person, type, campaign in (("A", "plan", "x"), ("A", "run", "x"), ("B", "report", "x"), ("A", "plan", "y")):
        case.did(person, "2026-10-05", f"campaign.{type}", campaign=campaign)
    assert case.figure("H-22", "A", OCT).done == 3
    assert case.figure("H-22-complete", "A", OCT).done == 0
    assert case.figure("H-22-complete", "commercial", OCT, scope="unit").done == 1


# -- forums (H-29) --------------------------------------------------------------------------------------------------
def _forums(**posts: int) -> given:
    case = given("A")
    for platform, count in posts.items():
        case.did("A", "2026-10-05", "forum.post", count, account="a", platform=platform)
    return case


def test_only_the_five_forums_with_the_most_posts_count() -> None:
    case = _forums(a=10, b=20, c=30, d=40, e=50, f=9)
    assert case.figure("H-29a", "A", OCT).done == 5


def test_a_tie_for_the_fifth_forum_goes_to_the_first_name_in_code_point_order() -> None:
    case = _forums(p=9, q=9, r=9, s=9, 西祠=5, Z=5)
    assert {fact.platform for fact in case.evidence("H-29a", "A", OCT)} == {"p", "q", "r", "s", "Z"}


def test_the_best_two_accounts_each_capped_at_its_due() -> None:
    case = _forums(a=10, b=45, c=20)
    figure = case.figure("H-29b", "A", OCT)
    assert (figure.done, figure.due) == (50, 60)


def test_the_best_two_of_a_joiner_scale_the_thirty_and_not_the_two() -> None:
    case = given().member("A", "commercial", "2026-10-20")
    case.did("A", "2026-10-21", "forum.post", 40, account="x", platform="a")
    case.did("A", "2026-10-21", "forum.post", 5, account="y", platform="a")
    figure = case.figure("H-29b", "A", OCT)
    assert figure.due == 2 * Fraction(30 * 12, 31)
    assert figure.done == Fraction(30 * 12, 31) + 5


def test_without_a_due_the_best_two_are_capped_by_the_unscaled_target() -> None:
    case = given().member("A", "design").did("A", "2026-10-21", "forum.post", 40, account="x", platform="a")
    assert (case.figure("H-29b", "A", OCT).done, case.figure("H-29b", "A", OCT).due) == (30, 0)


def test_a_tie_for_the_second_account_goes_to_the_first_platform_and_handle() -> None:
    case = given("A")
    for platform, handle, count in (("b", "z", 9), ("b", "a", 5), ("a", "q", 5)):
        case.did("A", "2026-10-05", "forum.post", count, account=handle, platform=platform)
    assert {(f.platform, f.account) for f in case.evidence("H-29b", "A", OCT)} == {("b", "z"), ("a", "q")}


def test_evidence_of_the_best_two_is_uncapped() -> None:
    assert sum(f.quantity for f in _forums(a=10, b=45, c=20).evidence("H-29b", "A", OCT)) == 65


# -- encyclopedia and pairs -----------------------------------------------------------------------------------------
def test_a_verified_account_owes_two_updates_a_week_zero_included() -> None:
    case = given().account("encyclopedia", "e", None, verified=("2026-01-01", None))
    assert case.ids("H-33", "2026-W42") == ["encyclopedia/e"]
    figure = case.figure("H-33", "encyclopedia/e", "2026-W42")
    assert (figure.done, figure.due, figure.status) == (0, 2, "missed")


def test_it_owes_by_the_days_registered_and_verified_whoever_updates_it() -> None:
    case = given().account("encyclopedia", "e", "A", until="2026-10-16", verified=("2026-10-14", None))
    case.did("B", "2026-10-13", "encyclopedia.update", account="e")  # Tuesday: not yet verified
    case.did("B", "2026-10-14", "encyclopedia.update", account="e")
    case.did("C", "2026-10-16", "encyclopedia.update", account="e")
    case.did("C", "2026-10-17", "encyclopedia.update", account="e")  # no longer registered
    figure = case.figure("H-33", "encyclopedia/e", "2026-W42")
    assert (figure.done, figure.due) == (2, Fraction(2 * 3, 7))
    assert {f.day.day for f in case.evidence("H-33", "encyclopedia/e", "2026-W42")} == {14, 16}


def test_verified_accounts_of_other_platforms_have_no_target() -> None:
    case = given("A").account("wenku", "e", "A", verified=("2026-01-01", None))
    assert case.ids("H-33", "2026-W42") == []
    case.did("A", "2026-10-14", "encyclopedia.update", account="e", platform="wenku")
    assert case.ids("H-33", "2026-W42") == ["wenku/e"]
    assert case.figure("H-33", "wenku/e", "2026-W42").status == "no_target"


def test_a_pair_is_unordered_and_both_directions_count() -> None:
    case = given("A", "B").did("A", "2026-10-14", "blog.exchange_comment", 10, counterpart="B")
    case.did("B", "2026-10-15", "blog.exchange_comment", 20, counterpart="A")
    case.did("A", "2026-10-15", "blog.exchange_comment", 5, counterpart="C")
    figure = case.figure("H-32d", "A+B", "2026-W42")
    assert (figure.done, figure.due, figure.status) == (30, 30, "met")
    assert case.ids("H-32d", "2026-W42") == ["A+B", "A+C"]
    assert case.ids("H-32d", "2026-W43") == []
    assert sum(f.quantity for f in case.evidence("H-32d", "A+B", "2026-W42")) == 30


def test_a_pair_owes_by_the_days_on_which_both_are_due_of_seven() -> None:
    case = given("A").member("B", "public-interest", "2026-10-14").absent("A", "2026-10-15", "2026-10-15")
    case.did("A", "2026-10-14", "blog.exchange_comment", counterpart="B")
    assert case.figure("H-32d", "A+B", "2026-W42").due == Fraction(30 * 4, 7)


def test_replies_count_only_from_accounts_verified_on_the_day() -> None:
    case = given("A").account("blog", "b", "A", verified=("2026-10-10", "2026-10-12"))
    case.did_daily("A", "2026-10-08", 7, "blog.reply", account="b").did("A", "2026-10-11", "blog.reply", account="c")
    figure = case.figure("H-32c", "A", OCT)
    assert (figure.done, figure.status) == (3, "no_target")
    assert len(case.evidence("H-32c", "A", OCT)) == 3


# -- roll-up --------------------------------------------------------------------------------------------------------
def test_credit_stays_with_the_unit_of_the_day_and_goes_to_each_above_once() -> None:
    case = given().member("A", "commercial", until="2026-10-12").member("A", "design", "2026-10-13")
    case.did("A", "2026-10-12", "qq.comment", 5, account="q").did("A", "2026-10-13", "qq.comment", 7, account="q")
    done = {u: case.figure("H-26b", u, OCT, scope="unit").done for u in ("commercial", "promotion", "design", "centre")}
    assert done == {"commercial": 5, "promotion": 5, "design": 7, "centre": 12}
    assert case.organisation().credited_units("A", case.facts[1].day) == ["centre", "creative", "design"]


def test_in_two_groups_credit_goes_to_each_and_once_to_each_unit_above() -> None:
    case = given("A").member("A", "public-interest").did("A", "2026-10-12", "qq.comment", 5, account="q")
    done = [case.figure("H-26b", u, OCT, scope="unit").done for u in ("commercial", "public-interest", "promotion")]
    assert done == [5, 5, 5]


def test_no_unit_no_credit() -> None:
    case = given().member("A", "commercial", "2026-10-20").did("A", "2026-10-12", "qq.comment", 5, account="q")
    assert case.figure("H-26b", "A", OCT).done == 5
    assert case.figure("H-26b", "centre", OCT, scope="unit").done == 0


def test_somebody_directly_in_a_department_counts_for_it_and_for_no_group() -> None:
    case = given().member("A", "promotion").did("A", "2026-10-12", "qq.comment", 5, account="q")
    done = [case.figure("H-26b", u, OCT, scope="unit").done for u in ("commercial", "promotion", "centre")]
    assert done == [0, 5, 5]
    assert case.figure("H-26b", "A", OCT).due == 0


def test_a_unit_counts_distinct_accounts_once() -> None:
    case = given("A", "B")
    for person, handle in (("A", "x"), ("B", "x"), ("B", "y")):
        case.did(person, "2026-10-12", "weibo.post", account=handle, form="share")
    assert case.figure("H-35d-weibo", "commercial", OCT, scope="unit").done == 2


def test_a_units_forum_figures_stay_inside_each_persons_five_forums_of_the_whole_month() -> None:
    case = given().member("A", "commercial", until="2026-10-12").member("A", "design", "2026-10-13")
    for platform, count in (("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)):
        case.did("A", "2026-10-20", "forum.post", count, account="x", platform=platform)
    case.did("A", "2026-10-02", "forum.post", 1, account="x", platform="z")  # the sixth: loses the tie to "a"
    case.did("A", "2026-10-02", "forum.post", 1, account="x", platform="e")
    assert case.figure("H-29a", "commercial", OCT, scope="unit").done == 1
    assert case.figure("H-29b", "commercial", OCT, scope="unit").done == 1
    assert case.figure("H-29b", "centre", OCT, scope="unit").done == 16


def test_unit_totals_are_uncapped() -> None:
    case = given("A").did("A", "2026-10-12", "blog.article_comment", 99, account="b")
    case.did("A", "2026-10-12", "forum.post", 99, account="b")
    assert case.figure("H-32e", "commercial", OCT, scope="unit").done == 99
    assert case.figure("H-29b", "commercial", OCT, scope="unit").done == 99


def test_pairs_and_accounts_roll_up_by_the_subjects_unit() -> None:
    case = given("A").member("B", "design").account("encyclopedia", "e", "B", verified=("2026-01-01", None))
    case.did("A", "2026-10-14", "blog.exchange_comment", 3, counterpart="B")
    case.did("B", "2026-10-14", "blog.exchange_comment", 4, counterpart="A")
    case.did("A", "2026-10-14", "encyclopedia.update", 2, account="e")
    assert case.figure("H-32d", "commercial", "2026-W42", scope="unit").done == 3
    assert case.figure("H-32d", "design", "2026-W42", scope="unit").done == 4
    assert case.figure("H-33", "commercial", "2026-W42", scope="unit").done == 2
    assert case.figure("H-33", "design", "2026-W42", scope="unit").done == 0


# -- layers ---------------------------------------------------------------------------------------------------------
def test_the_companys_rule_for_the_same_duty_wins_and_both_stay_visible() -> None:
    centre = quotas()["H-26b"]
    company = centre.model_copy(update={"layer": "company", "target": 40})
    assert in_force([centre, company]) == [(centre, company), (company, None)]


def test_a_type_in_two_selectors_of_a_quota_is_refused() -> None:
    data = quotas()["H-32b"].model_dump()
    data["also"][0]["types"] = ["blog.original"]
    with pytest.raises(ValueError, match="counts twice"):
        Quota.model_validate(data)
