"""The load: a thousand people with accounts, and batches of activity events for them, encoded ahead of the clock.

Events are some 351 bytes, of a department's usual mix, for people and accounts that org knows. Pure but for `random`
with a fixed seed, so that every contender of a run gets the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

PEOPLE = 1000
TEAM = 40  # people in one unit, as the department table of the goals has it
EVENT_BYTES = 351
PUBLISHER = "bench"
CHINA = timezone(timedelta(hours=8))

# type, weight, platform of its accounts (None: no account), accounts a person has there, further data
MIX: tuple[tuple[str, int, str | None, int, dict[str, Any]], ...] = (
    ("forum.post", 22, "forum", 4, {}),
    ("tieba.post", 10, "tieba", 1, {}),
    ("baidu_qa.answer", 10, None, 0, {}),
    ("qa.answer", 8, None, 0, {"platform": "zhihu"}),
    ("blog.original", 6, "blog", 2, {}),
    ("blog.article_comment", 8, "blog", 2, {}),
    ("blog.thread_comment", 6, "blog", 2, {}),
    ("qq.comment", 6, "qq", 2, {}),
    ("weibo.post", 9, "weibo", 5, {"form": "original"}),
    ("wechat.post", 7, "wechat", 5, {"form": "share"}),
    ("email.sent", 4, None, 0, {"quantity": 120}),
    ("link.external", 4, None, 0, {}),
)
FORUMS = ("tianya", "mop", "douban", "hupu")


def people() -> list[str]:
    """Return the staff numbers."""
    return [f"B{n:04d}" for n in range(PEOPLE)]


def accounts_of(person: str) -> list[tuple[str, str]]:
    """Return (platform, handle) of a person's accounts."""
    found: dict[tuple[str, str], None] = {}
    for _, _, platform, count, _ in MIX:
        if platform is not None:
            for n in range(count):
                found[(FORUMS[n] if platform == "forum" else platform, f"{person.lower()}-{platform}-{n}")] = None
    return list(found)


def organisation() -> dict[str, Any]:
    """Return an organisation document: teams of 40 in the promotion department, everybody with accounts."""
    since = "2020-01-01"
    teams = [
        {
            "unit": f"team-{n:02d}", "kind": "group", "name_zh": f"{n}组", "name_en": f"Team {n}",
            "parent": "promotion", "order": 100 + n,
        }
        for n in range(PEOPLE // TEAM)
    ]  # fmt: skip
    persons = [
        {"person": who, "name": f"Person {who}", "memberships": [{"unit": f"team-{n // TEAM:02d}", "since": since}]}
        for n, who in enumerate(people())
    ]
    accounts = [
        {
            "platform": platform, "handle": handle, "owner": who,
            "registered": [{"since": since}], "verified": [{"since": since}],
        }
        for who in people()
        for platform, handle in accounts_of(who)
    ]  # fmt: skip
    publishers = [{"publisher": PUBLISHER, "title": "Benchmark", "types": ["*"], "sources": [PUBLISHER]}]
    return {"units": teams, "posts": [], "people": persons, "accounts": accounts, "publishers": publishers}


@dataclass(frozen=True)
class Template:
    """An event cut where its id and its time go."""

    head: bytes
    middle: bytes
    tail: bytes


def _templates() -> list[list[Template]]:
    """Return, for each person, templates in the proportions of the mix."""
    made = []
    for person in people():
        mine: list[Template] = []
        for kind, weight, platform, count, more in MIX:
            for n in range(weight):
                data = dict(more)
                if platform is not None:
                    number = n % count
                    data["account"] = f"{person.lower()}-{platform}-{number}"
                    if platform == "forum":
                        data["platform"] = FORUMS[number]
                data["url"] = f"https://example.com/{kind}/{n}"
                data["title"] = "运营推广"
                mine.append(_template(kind, person, data))
        made.append(mine)
    return made


def _template(kind: str, person: str, data: dict[str, Any]) -> Template:
    event = {
        "specversion": "1.0", "id": "@", "source": PUBLISHER, "type": f"opsledger.activity.{kind}", "subject": person,
        "time": "#", "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
    size = len(_encode(event)) - 2 + 32 + 25
    data["title"] += " " + "opsledger "[: max(0, EVENT_BYTES - size - 1)].ljust(max(0, EVENT_BYTES - size - 1), "x")
    head, rest = _encode(event).split(b"@", 1)
    middle, tail = rest.split(b"#", 1)
    return Template(head, middle, tail)


def _encode(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


class Events:
    """An endless source of distinct events; `run` keeps the ids of several runs apart."""

    def __init__(self, run: int, *, live: bool = True, seed: int = 1) -> None:
        self._run = run
        self._count = 0
        self._random = random.Random(seed)
        self._templates = _templates()
        newest = datetime.now(CHINA) - timedelta(minutes=10)
        # Live: publishers report as it happens, a twentieth comes late. Otherwise: a month's work.
        weights = [85, 10, *[5 / 26] * 26] if live else [1] * 28
        self._times = [
            (newest - timedelta(days=days, minutes=minute)).isoformat(timespec="seconds").encode()
            for minute in range(0, 300, 7)
            for days in self._random.choices(range(28), weights, k=100)
        ]

    def one(self) -> bytes:
        """Return one event."""
        self._count += 1
        pick = self._random.random()
        template = self._templates[int(pick * PEOPLE)][int(pick * 7919 * PEOPLE) % 100]
        moment = self._times[int(pick * 104729 * PEOPLE) % len(self._times)]
        return b"%s%08x%024x%s%s%s" % (
            template.head, self._run, self._count, template.middle, moment, template.tail,
        )  # fmt: skip

    def batch(self, size: int) -> bytes:
        """Return a JSON batch of `size` events."""
        return b"[" + b",".join([self.one() for _ in range(size)]) + b"]"

    def batches(self, events: int, size: int) -> Iterator[bytes]:
        """Yield batches until there are `events` events."""
        for start in range(0, events, size):
            yield self.batch(min(size, events - start))


def months() -> tuple[date, str]:
    """Return today in the centre's zone and its month as a period."""
    today = datetime.now(CHINA).date()
    return today, f"{today.year:04d}-{today.month:02d}"
