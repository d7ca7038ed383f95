"""What is done, one function a quota: given some of the standing activities, the measure over them.

The same function serves a person (their work in the period) and a unit ("A unit's total is the measure over the
credited events"). The quotas nested by account, pair or forum are in `nested`.
Each function quotes the row it comes from: the id is its name (h_26b = H-26b).
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.oracle.intake import Activity
from tests.oracle.organisation import Account

Work = list[Activity]


def _quantity(work: Iterable[Activity], *types: str) -> int:
    """ "An event stands for `quantity` activities (default 1): every count sums quantity"."""
    total = 0
    for activity in work:
        if activity.type in types:
            total += activity.quantity
    return total


def _accounts(work: Iterable[Activity], *types: str) -> int:
    """ "Accounts quotas (26a, 29a, 32b, 35d) count accounts *used*"."""
    used: set[Account] = set()
    for activity in work:
        if activity.type in types and activity.account is not None:
            used.add(activity.account)
    return len(used)


def h_20(work: Work) -> int:
    """ "partnership with operators, offline merchants, ad networks opened"; channel.partner_opened."""
    return _quantity(work, "channel.partner_opened")


def h_21(work: Work) -> int:
    """ "business-district records collected into the channel-region register"; channel.region_record."""
    return _quantity(work, "channel.region_record")


def h_22(work: Work) -> int:
    """ "campaign carried out; plan written; campaign report written | counted, no target"."""
    return _quantity(work, "campaign.plan", "campaign.run", "campaign.report")


def h_22_complete(work: Work) -> int:
    """ "a campaign is complete when plan, execution and report all exist": the campaigns complete within the work."""
    complete = 0
    for campaign in {activity.campaign for activity in work if activity.campaign}:
        kinds = {activity.type for activity in work if activity.campaign == campaign}
        if {"campaign.plan", "campaign.run", "campaign.report"} <= kinds:
            complete += 1
    return complete


def h_23(work: Work) -> int:
    """ "strategy written; SEO/PPC task done"."""
    return _quantity(work, "seo.strategy", "seo.task")


def h_24(work: Work) -> int:
    """ "friendly link exchanged; external link built"."""
    return _quantity(work, "link.exchanged", "link.external")


def h_25(work: Work) -> int:
    """ "ad form defined; effect monitored"."""
    return _quantity(work, "affiliate.ad", "affiliate.monitoring")


def h_26a(work: Work) -> int:
    """ "distinct accounts used >= 1 per person per month"; "26a by comments and links"."""
    return _accounts(work, "qq.comment", "qq.link")


def h_26b(work: Work) -> int:
    """ "comment or signature | 30 per person per month"."""
    return _quantity(work, "qq.comment")


def h_26c(work: Work) -> int:
    """ "external link by group promotion | 30 (per person per month)"."""
    return _quantity(work, "qq.link")


def h_27(work: Work) -> int:
    """ "sum of quantity >= 10,000 per **group** per month"."""
    return _quantity(work, "email.sent")


def h_28(work: Work) -> int:
    """ "count >= 200 per **group** per month"."""
    return _quantity(work, "tieba.post")


def h_30a(work: Work) -> int:
    """ "count of on-topic answers >= 30"."""
    return _quantity((activity for activity in work if activity.on_topic), "baidu_qa.answer")


def h_30b(work: Work) -> int:
    """ "likewise" for questions."""
    return _quantity((activity for activity in work if activity.on_topic), "baidu_qa.question")


def h_31a(work: Work) -> int:
    """ "other Q&A sites, on the platform's subject | answers"."""
    return _quantity((activity for activity in work if activity.on_topic), "qa.answer")


def h_31b(work: Work) -> int:
    """ "other Q&A sites, on the platform's subject | questions"."""
    return _quantity((activity for activity in work if activity.on_topic), "qa.question")


def h_32b(work: Work) -> int:
    """ "32b by originals on topic, replies of verified accounts and both kinds of comment"."""
    using = []
    for activity in work:
        if activity.type == "blog.original" and not activity.on_topic:
            continue
        if activity.type == "blog.reply" and not activity.verified:
            continue
        using.append(activity)
    return _accounts(using, "blog.original", "blog.reply", "blog.article_comment", "blog.thread_comment")


def h_32c(work: Work) -> int:
    """ "counted, no target; only accounts marked verified"; ""Verified" ...: registered and verified on the day"."""
    return _quantity((activity for activity in work if activity.verified), "blog.reply")


def h_34(work: Work) -> int:
    """ "ad swap, content cooperation (embedded channel), event cooperation negotiated"."""
    return _quantity(work, "cooperation.negotiated")


def h_35a(work: Work) -> int:
    """ "posts: originals, shares, direct messages | each person at least 100 a month"."""
    return _quantity(work, "weibo.post")


def h_35b(work: Work) -> int:
    """ "count >= 100, apart from Weibo's"."""
    return _quantity(work, "wechat.post")


def h_35c_weibo(work: Work) -> int:
    """ "at least 1 original among them"; "H-35c and H-35d are a figure each for Weibo and WeChat"."""
    return _quantity((activity for activity in work if activity.form == "original"), "weibo.post")


def h_35c_wechat(work: Work) -> int:
    return _quantity((activity for activity in work if activity.form == "original"), "wechat.post")


def h_35d_weibo(work: Work) -> int:
    """ "distinct accounts >= 5, each of Weibo and WeChat"; "29a and 35d by posts"."""
    return _accounts(work, "weibo.post")


def h_35d_wechat(work: Work) -> int:
    return _accounts(work, "wechat.post")


def h_40(work: Work) -> int:
    """ "item published (own / client account)"; "Own and client's accounts count alike"."""
    return _quantity(work, "publishing.item")


def h_41(work: Work) -> int:
    """ "piece edited and released"."""
    return _quantity(work, "advertorial.released")


def h_42(work: Work) -> int:
    """ "custody deal: negotiation -> signed -> in progress (planned steps, done steps) -> ended"."""
    return _quantity(work, "custody.negotiation", "custody.signed", "custody.step", "custody.ended")


def h_43(work: Work) -> int:
    """ "daily operation of a client account"."""
    return _quantity(work, "hosting.daily")


def h_54(work: Work) -> int:
    """ "promotion statistics every day; analysis of the site's figures for forward-looking decisions"."""
    return _quantity(work, "data.daily_statistics", "data.site_analysis")


def h_55(work: Work) -> int:
    """ "channel report"."""
    return _quantity(work, "data.channel_report")


def h_60(work: Work) -> int:
    """ "research item, requirement"."""
    return _quantity(work, "research.item", "research.requirement")


def h_61(work: Work) -> int:
    """ "online, offline and brand campaigns planned | plan"."""
    return _quantity(work, "plan.market", "plan.operation")


def h_62(work: Work) -> int:
    """ "campaign execution, plan and campaign report | as H-22"."""
    return h_22(work)


def h_71(work: Work) -> int:
    """ "build and improve the site ... recorded as activity"."""
    return _quantity(work, "site.work")
