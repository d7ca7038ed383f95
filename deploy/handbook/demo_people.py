"""The demonstration's organisation: some forty people in all groups, their accounts, absences and publishers. Pure.

Everything is dated relative to the first day of the demonstration. One person joins in mid-month, one is transferred
into a bound group, some are away: so that prorated dues and credit by the day can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

FORUMS = ("搜狐社区", "天涯论坛", "西祠胡同", "驴行网", "猫扑大杂烩", "凯迪社区")
PUBLISHERS = {  # publisher: (title, what it may send)
    "social-desk": ("微博微信发布台", ["weibo.post", "wechat.post"]),
    "forum-robot": ("论坛贴吧助手", ["forum.post", "tieba.post", "qq.comment", "qq.link"]),
    "blog-watch": ("博客与百科监测", [
        "blog.original", "blog.reply", "blog.exchange_comment", "blog.article_comment", "blog.thread_comment",
        "encyclopedia.update",
    ]),
    "answers": ("问答平台接口", ["baidu_qa.answer", "baidu_qa.question", "qa.answer", "qa.question"]),
    "mailer": ("邮件群发系统", ["email.sent"]),
    "workbench": ("项目工作台", ["*"]),
}  # fmt: skip

_NAMES = (  # noqa: SIM905 (a list of 42 literals reads worse)
    "沈国安 林晓棠 周启明 吴佩珊 郑立群 冯若兰 陈思远 "  # director, assistant, five heads
    "许文静 何俊杰 罗佳琪 宋子墨 唐雨欣 韩一鸣 曹雪莹 邓浩然 彭丽华 "
    "谢铭 董小曼 袁志强 于海燕 潘嘉伟 蒋梦琪 杜鹏飞 "
    "苏婉清 魏东升 程雅文 吕少峰 丁香凝 任建国 姚舒涵 "
    "钟毅 方芷若 石磊 白露 秦可 江海波 顾盼 孟繁星 龙腾 史静雯 贺知秋 温良"
).split()
_GROUPS = {  # group: number of people, the first of them its leader
    "projects": 3, "own-media": 3, "data": 2, "service-desk": 3, "commercial": 7, "public-interest": 7, "channel": 3,
    "planning": 2, "design": 2, "tech-1": 1, "tech-2": 1,
}  # fmt: skip
HEADS = ("platform", "customer-service", "promotion", "creative", "research")
BOUND = ("commercial", "public-interest")


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One person of the demonstration. `since` is the first day at work, `pace` the share of each quota they do."""

    number: str
    name: str
    unit: str
    role: str
    post: str
    pace: float = 0.0
    since: date | None = None  # None = long before
    moved_from: str | None = None  # the unit before `since`
    away: tuple[tuple[date, date], ...] = ()


def cast(start: date) -> list[DemoPerson]:
    """Return the people. `start` is the first day of the demonstration's month."""
    names = iter(_NAMES)
    people = [
        DemoPerson("Y001", next(names), "centre", "director", "director"),
        DemoPerson("Y002", next(names), "centre", "assistant", "assistant"),
    ]
    for unit in HEADS:
        people.append(DemoPerson(f"Y{len(people) + 1:03d}", next(names), unit, "department_head", "department-head"))
    paces = (1.25, 1.05, 0.95, 1.1, 0.6, 0.3, 0.0)  # in each bound group some ahead, some behind, one idle
    for group, size in _GROUPS.items():
        for i in range(size):
            number = f"Y{len(people) + 1:03d}"
            role, post = ("group_leader", "group-leader") if i == 0 else ("member", "member")
            pace = paces[i % len(paces)] if group in BOUND else 1.0
            people.append(_special(DemoPerson(number, next(names), group, role, post, pace), group, i, start))
    people.append(DemoPerson(f"Y{len(people) + 1:03d}", next(names), "creative", "member", "product-manager", 1.0))
    return people


def _special(person: DemoPerson, group: str, place: int, start: date) -> DemoPerson:
    fields = {name: getattr(person, name) for name in DemoPerson.__slots__}
    if (group, place) == ("commercial", 3):  # joins in mid-month
        return DemoPerson(**{**fields, "since": start + timedelta(days=11)})
    if (group, place) == ("public-interest", 3):  # comes over from a group that owes nothing
        return DemoPerson(**{**fields, "since": start + timedelta(days=8), "moved_from": "channel"})
    if (group, place) == ("commercial", 2):
        return DemoPerson(**{**fields, "away": ((start + timedelta(days=4), start + timedelta(days=6)),)})
    if (group, place) == ("public-interest", 4):
        return DemoPerson(**{**fields, "away": ((start + timedelta(days=9), start + timedelta(days=13)),)})
    return person


def accounts_of(person: DemoPerson, start: date) -> list[dict[str, Any]]:
    """Return the promotional accounts registered to a person."""
    long_ago = (start - timedelta(days=300)).isoformat()
    found: list[dict[str, Any]] = []

    def add(
        platform: str, handle: str, since: str = long_ago, verified: bool = False, client: str | None = None
    ) -> None:
        spans = [{"since": since}]
        found.append({
            "platform": platform, "handle": handle, "owner": person.number, "client": client,
            "registered": spans, "verified": spans if verified else [],
        })  # fmt: skip

    tag = person.number.lower()
    place = int(person.number[1:])
    if person.unit in BOUND or person.unit == "channel":
        add("qq", f"{tag}-qq")
        add("tieba", f"缘嘉_{tag}")
        for i in range(3):
            add(FORUMS[(place + i) % len(FORUMS)], f"{tag}-bbs{i + 1}")
        for i in range(5 if place % 3 else 4):
            mid = (start + timedelta(days=10)).isoformat() if i == 3 and place % 4 == 0 else long_ago
            add("blog", f"{tag}-blog{i + 1}", since=mid, verified=i == 0)
            add("weibo", f"{tag}-wb{i + 1}")
            add("wechat", f"{tag}-wx{i + 1}")
        if place % 4 == 1:
            add("encyclopedia", f"缘嘉百科_{tag}", verified=True)
    if person.unit in ("projects", "own-media"):
        add("publishing", f"缘嘉_{tag}")
        add("hosting", f"客户号_{tag}", client="驴友旅行社" if place % 2 else "青禾餐饮")
    return found


def organisation(start: date) -> dict[str, Any]:
    """Return the import document: the handbook's units and posts with people, accounts and publishers."""
    path = Path(__file__).parent / "organisation.yaml"
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    people = cast(start)
    document["people"] = [_person(person, start) for person in people]
    document["people"] += [
        {"person": "Y901", "name": "审计员", "memberships": [], "absences": [], "roles": [{"role": "auditor"}]},
        {"person": "Y902", "name": "运维员", "memberships": [], "absences": [], "roles": [{"role": "operator"}]},
    ]
    document["accounts"] = [account for person in people for account in accounts_of(person, start)]
    document["publishers"] = [
        {"publisher": name, "title": title, "types": types, "sources": [name], "contexts": ["activity"]}
        for name, (title, types) in PUBLISHERS.items()
    ]
    return document


def _person(person: DemoPerson, start: date) -> dict[str, Any]:
    long_ago = start - timedelta(days=400)
    memberships: list[dict[str, Any]] = []
    if person.moved_from is not None and person.since is not None:
        until = (person.since - timedelta(days=1)).isoformat()
        memberships.append({"unit": person.moved_from, "post": "member", "since": long_ago.isoformat(), "until": until})
    since = (person.since or long_ago).isoformat()
    memberships.append({"unit": person.unit, "post": person.post, "since": since, "until": None})
    grant: dict[str, Any] = {"role": person.role}
    if person.role in ("department_head", "group_leader"):
        grant["unit"] = person.unit
    return {
        "person": person.number,
        "name": person.name,
        "memberships": memberships,
        "absences": [{"since": a.isoformat(), "until": b.isoformat(), "kind": "leave"} for a, b in person.away],
        "roles": [grant],
    }
