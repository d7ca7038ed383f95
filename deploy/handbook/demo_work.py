"""What people of each unit do in the demonstration, and how often in a month at a pace of 1. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Doing:
    """One kind of activity. `month` = activities a month; an event stands for about `quantity` of them."""

    type: str
    publisher: str
    month: float = 0.0
    platform: str | None = None  # the account's platform word; "forum" = any of the person's forums
    quantity: int = 1
    daily: bool = False  # one a day on every account of the platform
    form: bool = False
    on_topic: bool = False
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_TITLES = ("古镇周末两日游", "亲子露营装备清单", "公益植树活动回顾", "自驾川西攻略", "城市骑行路线", "旅行摄影技巧")
_PARTNERS = ("联通营业厅", "青旅连锁", "万达商圈", "网易联盟", "驴友俱乐部")
_CAMPAIGNS = ("春季踏青节", "公益植树周", "会员摄影赛")
_SITES = ("知乎", "搜狗问问", "360问答")
_CLIENTS = ("驴友旅行社", "青禾餐饮")
_URL = {"url": ("https://example.com/a", "https://example.com/b", "https://example.com/c")}
_TITLE = {"title": _TITLES}

_PROMOTION = (
    Doing("qq.comment", "forum-robot", 34, "qq", 2),
    Doing("qq.link", "forum-robot", 33, "qq", 2, fields=_URL),
    Doing("email.sent", "mailer", 1500, quantity=400),
    Doing("tieba.post", "forum-robot", 32, "tieba", fields=_TITLE),
    Doing("forum.post", "forum-robot", 70, "forum", fields=_TITLE),
    Doing("baidu_qa.answer", "answers", 34, on_topic=True),
    Doing("baidu_qa.question", "answers", 33, on_topic=True),
    Doing("qa.answer", "answers", 34, on_topic=True, fields={"platform": _SITES}),
    Doing("qa.question", "answers", 33, on_topic=True, fields={"platform": _SITES}),
    Doing("blog.original", "blog-watch", platform="blog", daily=True, on_topic=True, fields=_TITLE),
    Doing("blog.reply", "blog-watch", 20, "blog"),
    Doing("blog.exchange_comment", "blog-watch", 90, quantity=5),
    Doing("blog.article_comment", "blog-watch", 150, "blog", 4),
    Doing("blog.thread_comment", "blog-watch", 145, "blog", 4),
    Doing("encyclopedia.update", "blog-watch", 10, "encyclopedia", fields=_TITLE),
    Doing("weibo.post", "social-desk", 108, "weibo", 2, form=True, fields=_TITLE),
    Doing("wechat.post", "social-desk", 104, "wechat", 2, form=True, fields=_TITLE),
    Doing("seo.task", "workbench", 5, fields=_TITLE),
    Doing("link.external", "workbench", 6, fields=_URL),
    Doing("link.exchanged", "workbench", 2, fields=_URL),
    Doing("affiliate.monitoring", "workbench", 3),
    Doing("cooperation.negotiated", "workbench", 1, fields={"partner": _PARTNERS}),
)
_CAMPAIGN = tuple(
    Doing(f"campaign.{step}", "workbench", month, fields={"campaign": _CAMPAIGNS})
    for step, month in (("plan", 3), ("run", 4), ("report", 3))
)
_DOINGS: dict[str, tuple[Doing, ...]] = {
    "commercial": _PROMOTION,
    "public-interest": _PROMOTION,
    "channel": (
        Doing("channel.partner_opened", "workbench", 4, fields={"partner": _PARTNERS}),
        Doing("channel.region_record", "workbench", 40, fields={"region": ("越秀", "天河", "荔湾", "番禺")}),
        Doing("cooperation.negotiated", "workbench", 6, fields={"partner": _PARTNERS}),
        Doing("wechat.post", "social-desk", 20, "wechat", form=True, fields=_TITLE),
        *_CAMPAIGN,
    ),
    "projects": (
        Doing("custody.negotiation", "workbench", 3, fields={"client": _CLIENTS}),
        Doing("custody.signed", "workbench", 1, fields={"client": _CLIENTS}),
        Doing("custody.step", "workbench", 8, fields={"client": _CLIENTS}),
        Doing("publishing.item", "workbench", 30, "publishing", fields=_TITLE),
    ),
    "own-media": (
        Doing("publishing.item", "workbench", 60, "publishing", fields=_TITLE),
        Doing("advertorial.released", "workbench", 15, fields=_TITLE),
        Doing("hosting.daily", "workbench", 30, "hosting"),
    ),
    "data": (
        Doing("data.daily_statistics", "workbench", 28),
        Doing("data.site_analysis", "workbench", 4, fields=_TITLE),
        Doing("data.channel_report", "workbench", 2, fields=_TITLE),
    ),
    "service-desk": (Doing("research.item", "workbench", 4, fields=_TITLE),),
    "planning": (
        Doing("plan.market", "workbench", 3, fields=_TITLE),
        Doing("plan.operation", "workbench", 4, fields=_TITLE),
        Doing("research.item", "workbench", 8, fields=_TITLE),
        *_CAMPAIGN,
    ),
    "design": (Doing("campaign.run", "workbench", 6, fields={"campaign": _CAMPAIGNS}),),
    "creative": (Doing("research.requirement", "workbench", 10, fields=_TITLE),),
    "tech-1": (Doing("site.work", "workbench", 20, fields=_TITLE),),
    "tech-2": (Doing("site.work", "workbench", 20, fields=_TITLE),),
}


@lru_cache
def doings(unit: str) -> tuple[Doing, ...]:
    """Return what people of a unit do; nothing for units whose work leaves no activities."""
    return _DOINGS.get(unit, ())
