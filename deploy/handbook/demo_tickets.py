"""The demonstration's tickets: customers, projects, topics and what the service desk did with each. Pure and seeded.

The customers turned to the desk over the last ten days, at the moments given; the desk works on them when the
demonstration is loaded. So some promises were kept, some broken, some clocks are running: as on any Monday morning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

UNIT = "service-desk"

PROJECTS: dict[str, dict[str, Any]] = {
    "lvxing": {"name_zh": "驴行网", "name_en": "Donkey Travel"},
    "green": {"name_zh": "公益植树", "name_en": "Tree planting"},
    "city": {"name_zh": "同城商圈", "name_en": "City merchants"},
}
TOPICS: dict[str, dict[str, Any]] = {  # parents before their children
    "payment": {"name_zh": "支付", "name_en": "Payments", "order": 1},
    "refund": {"name_zh": "退款", "name_en": "Refunds", "parent": "payment", "order": 2},
    "account": {"name_zh": "账号", "name_en": "Accounts", "order": 3},
    "login": {"name_zh": "登录", "name_en": "Signing in", "parent": "account", "order": 4},
    "content": {"name_zh": "内容", "name_en": "Content", "order": 5},
    "event": {"name_zh": "活动报名", "name_en": "Event registration", "order": 6},
}
_CUSTOMERS = ("周先生", "吴女士", "郑先生", "王女士", "冯先生", "陈女士", "褚先生", "卫女士", "蒋先生", "沈女士")
_ASKED = (  # kind, topic, title, text
    ("complaint", "refund", "退款迟迟未到", "取消行程已经八天，退款还没有到账。"),
    ("complaint", "refund", "退款金额不对", "只退了一半，客服电话打不通。"),
    ("complaint", "event", "报名后被取消", "周末植树活动报名成功，又收到取消短信，没有说明原因。"),
    ("technical_support", "login", "收不到验证码", "换了两部手机，都收不到登录验证码。"),
    ("technical_support", "login", "无法绑定微信", "绑定微信时一直提示系统繁忙。"),
    ("records", "account", "变更商户资料", "公司地址变更，请更新营业执照和门店地址。"),
    ("needs_analysis", "content", "希望有亲子路线专题", "带孩子出行的路线太少，希望做一个专题。"),
    ("inquiry", "event", "露营活动能带宠物吗", "想参加下周的露营，能带一只小型犬吗？"),
    ("inquiry", "payment", "能否开具发票", "团体票能不能开专用发票？"),
    ("internal_cooperation", "content", "商业组需要用户评价素材", "请提供近一个月好评用户的授权名单。"),
)
_CHANNELS = ("phone", "web", "wechat", "qq", "mail")
_PRIORITIES = ("normal", "normal", "normal", "high", "low", "urgent")


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the desk: `path` is below the ticket; "{leader}" and "{member}" stand for staff numbers."""

    method: str
    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DemoTicket:
    """A ticket as it is opened (`body` lacks the customer's id) and what is done with it afterwards."""

    key: str
    customer: int
    body: dict[str, Any]
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything to load: customers by their place, then the tickets in the order they came."""

    customers: list[dict[str, Any]]
    tickets: list[DemoTicket]
    projects: dict[str, dict[str, Any]] = field(default_factory=lambda: PROJECTS)
    topics: dict[str, dict[str, Any]] = field(default_factory=lambda: TOPICS)


_REPLY = Step("POST", "replies", {"text": "您好，情况已经收到，我们马上核实，今天内给您答复。"})
_ASSIGN = Step("PUT", "assignee", {"person": "{member}"})
_START = Step("POST", "start")
_RESOLVE = Step("POST", "resolution", {"outcome": "solved", "text": "已处理完毕，并电话告知客户。"})
_COURSES: tuple[tuple[Step, ...], ...] = (
    (),
    (_ASSIGN,),
    (_ASSIGN, _REPLY, _START),
    (_ASSIGN, _REPLY, Step("POST", "wait", {"on": "customer", "text": "等待客户补充订单号。"})),
    (_ASSIGN, _REPLY, _RESOLVE),
    (_ASSIGN, _REPLY, _RESOLVE, Step("POST", "satisfaction", {"score": 5})),
    (_ASSIGN, _REPLY, _RESOLVE, Step("POST", "satisfaction", {"score": 2}), Step("POST", "closing")),
    (_ASSIGN, _REPLY, _RESOLVE, Step("POST", "reopening", {"text": "客户来电：问题又出现了。"})),
    (_REPLY, Step("POST", "hand-over", {"unit": "tech-1", "reason": "需要技术一部查短信通道。"})),
    (_ASSIGN, Step("POST", "notes", {"text": "同类问题本周第三起。"}), _REPLY),
)


def desk(now: datetime, seed: int = 20, count: int = 36) -> Desk:
    """Return the demonstration's tickets as of `now` (aware). Nothing is dated after it; the keys go by the day."""
    customers = [
        {"side": "outside", "profile": {"name": name, "contacts": [{"kind": "phone", "value": f"1380000{n:04d}"}]}}
        for n, name in enumerate(_CUSTOMERS)
    ]
    tickets = []
    for n in range(count):
        rng = Random(f"{seed}:ticket:{n}")  # noqa: S311 (play data, no secret)
        kind, topic, title, text = _ASKED[0 if n % 4 == 0 else rng.randrange(len(_ASKED))]
        ago = timedelta(minutes=rng.randint(5, 600)) if n % 3 == 0 else timedelta(hours=rng.randint(3, 240))
        body = {
            "kind": kind,
            "unit": UNIT,
            "project": rng.choice(list(PROJECTS)),
            "channel": rng.choice(_CHANNELS),
            "topic": topic,
            "priority": rng.choice(_PRIORITIES),
            "title": title,
            "text": text,
            "at": (now - ago).replace(microsecond=0).isoformat(),
        }
        tickets.append(DemoTicket(f"{n:03d}", rng.randrange(len(customers)), body, rng.choice(_COURSES)))
    return Desk(customers, tickets)
