"""How long the KPI rules take for a department table: 40 people x 20 quotas of a busy month, in pure Python.

    python -m tests.benchmarks.kpi_rules

Prints the best of many rounds in milliseconds, so that a busy machine does not hide the work itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from random import Random
from time import process_time

from services.kpi.facts import Facts, Series, parse_period
from services.kpi.organisation import AccountRow, MembershipRow, Organisation
from services.kpi.rules import attain
from services.kpi.rules_rows import figures
from tests.kpi.rules_given import quotas, units

PEOPLE = [f"P{i:02d}" for i in range(40)]
MONTH = parse_period("2026-10")
TODAY = date(2026, 10, 20)
YEAR = date(2026, 1, 1)
ACCOUNTS = 5
KINDS = [  # type, platform, accounts a person uses
    *(("qq.comment", "qq", 1), ("qq.link", "qq", 1), ("email.sent", "email", 1), ("tieba.post", "tieba", 1)),
    *(("forum.post", forum, 1) for forum in "abcdefg"),
    *(("baidu_qa.answer", "baidu_qa", 1), ("baidu_qa.question", "baidu_qa", 1)),
    *(("qa.answer", "z", 1), ("qa.question", "z", 1)),
    *((f"blog.{kind}", "blog", ACCOUNTS) for kind in ("original", "reply", "article_comment", "thread_comment")),
    *((f"{site}.post", site, ACCOUNTS) for site in ("weibo", "wechat", "weibo", "wechat")),
]


def series() -> list[Series]:
    """Return a busy month: ten days each of some fifty series a person."""
    rng, found = Random(1), []
    for person in PEOPLE:
        for n, (type, platform, accounts) in enumerate(KINDS):
            for i in range(accounts):
                days = sorted(rng.sample(range(MONTH.first, MONTH.last + 1), 10))
                form = "original" if n % 2 else "share"
                quantities = [rng.randint(1, 5) for _ in days]
                found.append(Series(person, type, platform, f"{person}-{i}", True, form, None, None, days, quantities))
    return found


def organisation() -> Organisation:
    members = [MembershipRow(p, ("commercial", "public-interest")[i % 2], YEAR) for i, p in enumerate(PEOPLE)]
    spans = ((YEAR, None),)
    accounts = [AccountRow("blog", f"{p}-{i}", p, spans, spans) for p in PEOPLE for i in range(ACCOUNTS)]
    return Organisation(units(), members, (), accounts)


def best(work: Callable[[], object], rounds: int = 30) -> float:
    """Return the least processor time of a round, in milliseconds."""
    found = []
    for _ in range(rounds):
        start = process_time()
        work()
        found.append(process_time() - start)
    return min(found) * 1000


def main() -> None:
    raw, centre = series(), organisation()
    facts = Facts(raw, MONTH)
    bound = [q for q in quotas().values() if q.scope == "person" and q.binding.units]
    twenty = bound[:20]
    print(f"{len(raw)} series; index {best(lambda: Facts(raw, MONTH)):.2f} ms")

    def table() -> None:
        for quota in twenty:
            for person in PEOPLE:
                attain(quota, "person", person, MONTH, facts, centre, TODAY)

    print(f"40 x 20 figures {best(table):.2f} ms")
    count = len(list(figures(bound, "person", MONTH, facts, centre, TODAY)))
    print(
        f"{count} figures with rows {best(lambda: list(figures(bound, 'person', MONTH, facts, centre, TODAY))):.2f} ms"
    )

    def totals() -> None:
        for quota in bound:
            for unit in ("centre", "promotion", "commercial", "public-interest"):
                attain(quota, "unit", unit, MONTH, facts, centre, TODAY)

    print(f"{len(bound) * 4} unit totals {best(totals):.2f} ms")


if __name__ == "__main__":
    main()
