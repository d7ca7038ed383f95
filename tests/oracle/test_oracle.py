"""Each quota by a small example whose numbers are worked out by hand, so that the oracle itself is anchored."""

from __future__ import annotations

from fractions import Fraction as F

import pytest

from tests.oracle.dues import GROUP_MONTHLY, MONTHLY
from tests.oracle.small import Rows, account, event, member, organisation, person

QQ = account("qq", "q1", "A")
COUNTED = {  # quota: an event that counts 1 for it when its quantity is 1
    "H-20": ("channel.partner_opened", {"partner": "p"}),
    "H-21": ("channel.region_record", {"region": "r"}),
    "H-23": ("seo.task", {}),
    "H-24": ("link.external", {"url": "u"}),
    "H-25": ("affiliate.monitoring", {}),
    "H-30a": ("baidu_qa.answer", {}),
    "H-30b": ("baidu_qa.question", {}),
    "H-31a": ("qa.answer", {"platform": "zhihu"}),
    "H-31b": ("qa.question", {"platform": "zhihu"}),
    "H-34": ("cooperation.negotiated", {"partner": "p"}),
    "H-40": ("publishing.item", {"platform": "qq", "account": "q1"}),
    "H-41": ("advertorial.released", {}),
    "H-42": ("custody.step", {"client": "c"}),
    "H-43": ("hosting.daily", {"client": "c", "platform": "qq", "account": "q1"}),
    "H-54": ("data.site_analysis", {}),
    "H-55": ("data.channel_report", {}),
    "H-60": ("research.requirement", {}),
    "H-61": ("plan.operation", {}),
    "H-71": ("site.work", {}),
}


@pytest.mark.parametrize("quota", COUNTED)
def test_counts_sum_quantity_and_go_to_each_unit_above_once(quota: str) -> None:
    type_, data = COUNTED[quota]
    rows = Rows(organisation(QQ), event(type_, "A", **data), event(type_, "A", quantity=4, **data))
    target = MONTHLY[quota][1]
    assert rows(quota, "person", "A") == (5, target)  # 1 + 4; a member all October owes the target in full
    for unit in ("commercial", "promotion", "centre"):
        assert rows(quota, "unit", unit) == (5, 0)
    assert rows(quota, "unit", "channel") == (0, 0)


def test_targets_of_a_full_month_are_the_handbooks() -> None:
    rows = Rows(organisation())
    targets = {"H-26a": 1, "H-26b": 30, "H-26c": 30, "H-29a": 2, "H-29b": 60, "H-30a": 30, "H-30b": 30, "H-31a": 30}
    targets |= {"H-31b": 30, "H-32b": 5, "H-35a": 100, "H-35b": 100, "H-35c-weibo": 1, "H-35c-wechat": 1}
    targets |= {"H-35d-weibo": 5, "H-35d-wechat": 5}
    targets |= dict.fromkeys(("H-23", "H-24", "H-25", "H-32a", "H-32c", "H-32e", "H-32f", "H-34"), 0)
    shown = {key[0]: value for key, value in rows.rows.items() if key[1:3] == ("person", "A")}
    assert shown == {
        quota: (F(0), F(target)) for quota, target in targets.items()
    }  # "people with no activity": zero rows
    assert not [key for key in rows.rows if key[1:3] == ("person", "D")]  # not in a bound group, nothing done


def test_h22_a_campaign_is_complete_with_plan_run_and_report() -> None:
    rows = Rows(
        organisation(),
        event("campaign.plan", "A", campaign="c1"),
        event("campaign.run", "A", campaign="c1", quantity=3),
        event("campaign.report", "A", campaign="c1"),
        event("campaign.plan", "A", campaign="c2"),  # c2: A plans, B runs and reports
        event("campaign.run", "B", campaign="c2"),
        event("campaign.report", "B", campaign="c2"),
    )
    assert rows("H-22", "person", "A") == rows("H-62", "person", "A") == (1 + 3 + 1 + 1, 0)
    assert rows("H-22", "unit", "commercial") == (8, 0)
    assert rows("H-22-complete", "person", "A") == (1, 0)
    assert rows("H-22-complete", "person", "B") is None  # nothing complete by B alone
    assert rows("H-22-complete", "unit", "commercial") == (2, 0)


def test_h26_accounts_comments_and_links() -> None:
    rows = Rows(
        organisation(QQ, account("qq", "q2", "B")),
        event("qq.comment", "A", account="q1", quantity=20),
        event("qq.link", "A", account="q2", quantity=7),  # somebody else's account is work of A all the same
        event("qq.link", "B", account="q2"),
    )
    assert rows("H-26a", "person", "A") == (2, 1)
    assert rows("H-26b", "person", "A") == (20, 30)
    assert rows("H-26c", "person", "A") == (7, 30)
    assert rows("H-26a", "person", "B") == (1, 1)  # a shared account counts for each
    assert rows("H-26a", "unit", "commercial") == (2, 0)  # distinct accounts of the unit, not 2 + 1


def test_h27_h28_are_the_groups_and_never_prorated() -> None:
    half = person("B", member("commercial", since="2026-10-16"), absences=(("2026-10-20", "2026-10-25"),))
    rows = Rows(
        organisation(account("tieba", "t", "A"), people=(half,)),
        event("email.sent", "A", quantity=6000),
        event("email.sent", "B", "2026-10-17", quantity=4000),
        event("email.sent", "B", "2026-10-03", quantity=500),  # not yet in a unit: no credit
        event("email.sent", "D", quantity=9),
        event("tieba.post", "C", account="t", quantity=199),
    )
    assert rows("H-27", "unit", "commercial") == (10000, 10000)
    assert rows("H-27", "unit", "public-interest") == (0, 10000)
    assert rows("H-27", "unit", "channel") == (9, 0)
    assert rows("H-27", "unit", "promotion") == (10009, 0)
    assert rows("H-28", "unit", "public-interest") == (199, 200)
    assert rows("H-27", "person", "A") is None
    assert set(GROUP_MONTHLY) == {"H-27", "H-28"}


def forum(platform: str, handle: str, quantity: int, who: str = "A", day: str = "2026-10-05") -> dict[str, object]:
    return event("forum.post", who, day, platform=platform, account=handle, quantity=quantity)


def test_h29_best_two_accounts_on_the_best_five_forums() -> None:
    posts = [("f1", "x", 40), ("f1", "y", 12), ("f2", "x", 25), ("f3", "x", 5), ("b", "x", 3), ("a", "x", 3)]
    posts += [("f6", "x", 2), ("c", "x", 3)]
    org = organisation(*(account(platform, handle, "A") for platform, handle, _ in posts))
    rows = Rows(org, *(forum(*post) for post in posts))
    # forums by posts: f1 52, f2 25, f3 5, then a, b, c with 3 each: a and b by name; f6 falls out
    # accounts there: f1/x, f1/y, f2/x, f3/x, a/x, b/x; the best two: f1/x 40 (capped at 30) and f2/x 25
    assert rows("H-29a", "person", "A") == (6, 2)
    assert rows("H-29b", "person", "A") == (55, 60)
    # the unit: uncapped, all accounts inside A's five forums: 40 + 12 + 25 + 5 + 3 + 3
    assert rows("H-29a", "unit", "centre") == (6, 0)
    assert rows("H-29b", "unit", "centre") == (88, 0)


def test_h29b_scales_the_thirty_and_not_the_two_accounts() -> None:
    joiner = person("A", member("commercial", since="2026-10-17"))  # 15 due days: 30 x 15/31 = 450/31 an account
    rows = Rows(
        organisation(account("f", "x"), account("f", "y"), people=(joiner,)), forum("f", "x", 99), forum("f", "y", 3)
    )
    assert rows("H-29b", "person", "A") == (F(450, 31) + 3, F(900, 31))
    assert rows("H-29a", "person", "A") == (2, F(30, 31))


def test_h30_and_h31_count_on_topic_only() -> None:
    rows = Rows(
        organisation(),
        event("baidu_qa.answer", "A", quantity=3),
        event("baidu_qa.answer", "A", on_topic=False),
        event("qa.question", "A", platform="zhihu", on_topic=True),
        event("qa.question", "A", platform="zhihu", on_topic=False),
        event("seo.task", "A", on_topic=False),  # "on_topic matters for H-30, H-31, H-32a only"
    )
    assert rows("H-30a", "person", "A") == (3, 30)
    assert rows("H-31b", "person", "A") == (1, 30)
    assert rows("H-23", "person", "A") == (1, 0)


def test_h32b_and_h32c_used_blog_accounts_and_replies_of_verified_ones() -> None:
    org = organisation(
        account("blog", "b1", "A", verified=("2026-10-10", "2026-10-20")),
        *(account("blog", handle, "A") for handle in ("b2", "b3", "b4", "b5")),
    )
    rows = Rows(
        org,
        event("blog.reply", "A", "2026-10-09", account="b1"),  # the day before it was verified
        event("blog.reply", "A", "2026-10-20", account="b1", quantity=2),  # the last verified day
        event("blog.reply", "A", "2026-10-20", account="b2"),  # never verified
        event("blog.original", "A", account="b3", on_topic=False),
        event("blog.article_comment", "A", account="b4", on_topic=False),
        event("blog.thread_comment", "A", account="b5"),
        event("blog.exchange_comment", "A", counterpart="B", account="b2"),
    )
    assert rows("H-32c", "person", "A") == (2, 0)
    assert rows("H-32b", "person", "A") == (3, 5)  # b1 (the verified reply), b4, b5


def test_h35_weibo_and_wechat_each() -> None:
    org = organisation(account("weibo", "w1", "A"), account("weibo", "w2", "A"), account("wechat", "w1", "A"))
    rows = Rows(
        org,
        event("weibo.post", "A", account="w1", form="original", quantity=2),
        event("weibo.post", "A", account="w2", form="share", quantity=90),
        event("wechat.post", "A", account="w1", form="direct_message", quantity=7),
    )
    assert rows("H-35a", "person", "A") == (92, 100)
    assert rows("H-35b", "person", "A") == (7, 100)
    assert rows("H-35c-weibo", "person", "A") == (2, 1)
    assert rows("H-35c-wechat", "person", "A") == (0, 1)
    assert rows("H-35d-weibo", "person", "A") == (2, 5)
    assert rows("H-35d-wechat", "person", "A") == (1, 5)
    assert rows("H-35d-weibo", "unit", "commercial") == (2, 0)


def test_h54_and_h42_take_in_all_their_types() -> None:
    rows = Rows(
        organisation(),
        event("data.daily_statistics", "D"),
        event("data.site_analysis", "D"),
        event("custody.negotiation", "D", client="c"),
        event("custody.signed", "D", client="c"),
        event("custody.step", "D", client="c", quantity=2),
        event("custody.ended", "D", client="c"),
    )
    assert rows("H-54", "person", "D") == (2, 0)
    assert rows("H-42", "person", "D") == (5, 0)
