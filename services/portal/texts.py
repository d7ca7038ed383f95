"""Every text of the portal in Chinese and English; a page names a key, never a text."""

from __future__ import annotations

from typing import Literal

Language = Literal["zh", "en"]

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("运营管理中心 · 运营账本", "Operations centre · opsledger"),
    "motto": (
        "看板上的每个数字，都由不会丢失、不可篡改、不重复计数的事件汇总而成。",
        "Every figure is a fold over events that nobody can lose, alter or count twice.",
    ),
    "all_ready": ("全部服务就绪", "All services are ready"),
    "some_not": ("部分服务未就绪", "Some services are not ready"),
    "ready": ("就绪", "ready"),
    "not_ready": ("未就绪", "not ready"),
    "no_answer": ("无应答", "no answer"),
    "docs": ("接口文档", "API documentation"),
    "openapi": ("OpenAPI 描述", "OpenAPI document"),
    "metrics": ("运行指标", "Metrics"),
    "checks": ("检查项", "Checks"),
    "ok": ("正常", "ok"),
    "as_of": ("状态时间", "Status as of"),
    "other_language": ("English", "中文"),
    "org": ("组织", "Organisation"),
    "org.what": (
        "部门、小组、人员、岗位任期、请假、推广账号、发布方与权限。",
        "Units, people, memberships, absences, accounts, publishers, roles.",
    ),
    "activity": ("活动", "Activity"),
    "activity.what": (
        "接收、记录、作废、更正各系统上报的活动事件，可检索。",
        "Takes in, records, voids and corrects activity events; search.",
    ),
    "tickets": ("工单", "Tickets"),
    "tickets.what": (
        "客户工单、回访、服务时限与投诉。",
        "Customers' tickets, return visits, service levels, complaints.",
    ),
    "kpi": ("指标", "Figures"),
    "kpi.what": (
        "按制度实时计算个人、账号、小组、部门与中心的完成情况。",
        "Attainment of every quota, live: person, account, pair, group, department, centre.",
    ),
}


def text(key: str, language: Language) -> str:
    """Return a text; an unknown key (a check that a service names) stays as it is."""
    zh, en = TEXTS.get(key, (key, key))
    return en if language == "en" else zh
