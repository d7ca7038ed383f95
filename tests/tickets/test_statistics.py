"""The statistics against a count by hand, and their rules against a naive computation of their own."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from contracts.tickets import (
    SatisfactionGiven,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketReplied,
    TicketResolved,
)
from services.kernel.migrate import migrate
from services.tickets.evolve import fold
from services.tickets.projections.statistics import StatisticsProjection
from services.tickets.statistics_query import GROUPINGS, TABLES, Asked, Grouping, behind, complaints_by_topic, figures
from services.tickets.statistics_rules import concentration, concentrations, control_limit, months_before, pareto
from tests.tickets import given as say
from tests.tickets.stories import UNDER, Story, commits_of, prepare, random_story, rows_of, told

ZONE = ZoneInfo("Asia/Shanghai")
TABLES_OF = ("opening", "answered", "resolution")
ALL = Asked("2026-01", "2026-12")


@pytest.fixture
async def conn(database: str) -> AsyncIterator[asyncpg.Connection]:
    await migrate(database, "tickets")
    opened = await asyncpg.connect(database)
    await prepare(opened)
    yield opened
    await opened.close()


async def folded(conn: asyncpg.Connection, story: Story, seed: int = 0) -> None:
    await rows_of(conn, StatisticsProjection(ZONE), "s", [await commits_of(conn, story, seed)], ())


@pytest.mark.parametrize("seed", range(3))
async def test_a_rebuild_equals_what_was_folded_as_it_came_and_twice_is_once(conn, seed) -> None:
    commits = await commits_of(conn, random_story(seed, tickets=25), seed)
    whole = await rows_of(conn, StatisticsProjection(ZONE), "whole", [commits], TABLES_OF)
    assert await rows_of(conn, StatisticsProjection(ZONE), "single", [[one] for one in commits], TABLES_OF) == whole
    batches = [commits[:9], commits[5:], commits]
    assert await rows_of(conn, StatisticsProjection(ZONE), "twice", batches, TABLES_OF) == whole
    assert all(whole.values())


def naive(story: Story) -> list[dict[str, Any]]:
    """Every countable thing of a story with all that it may be grouped by, told from the events alone."""
    things: list[dict[str, Any]] = []
    for ticket, events in story.items():
        after = fold(events, UNDER)
        assert after is not None
        stands = {"kind": after.kind, "topic": after.topic, "project": after.project}
        for index, event in enumerate(events):
            month = f"{event.at.astimezone(ZONE):%Y-%m}"
            thing = {"ticket": ticket, "month": month, "person": getattr(event, "by", None), **stands}
            if isinstance(event, TicketOpened) and not any(isinstance(one, TicketMerged) for one in events):
                things.append({**thing, "what": "opened", "unit": after.unit, "person": None})
            if isinstance(event, TicketReplied | TicketResolved):
                then = fold(events[:index], UNDER)
                assert then is not None
                fixed = (
                    {"kind": event.kind, "topic": event.topic, "project": event.project}
                    if isinstance(event, TicketResolved)
                    else {}
                )
                for one in event.ended:
                    own = fixed if one.clock == "resolution" else {}
                    things.append(
                        {**thing, **own, "what": one.clock, "unit": then.unit, "used": one.used, "met": one.met}
                    )
                if isinstance(event, TicketResolved):
                    later = events[index + 1 :]
                    ends = next((i for i, one in enumerate(later) if isinstance(one, TicketResolved)), len(later))
                    score = next(
                        (one.score for one in later
                         if isinstance(one, SatisfactionGiven) and one.resolution == event.resolution), None
                    )  # fmt: skip
                    things.append(
                        {**thing, **fixed, "what": "resolutions", "unit": event.unit, "score": score,
                         "reopened": any(isinstance(one, TicketReopened) for one in later[:ends])}
                    )  # fmt: skip
    return things


def nearest_rank(values: list[int], share: float) -> int | None:
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


@pytest.mark.parametrize("by", GROUPINGS)
@pytest.mark.parametrize("seed", [11, 12])
async def test_every_figure_is_what_a_count_by_hand_gives(conn, seed: int, by: Grouping) -> None:
    story = random_story(seed, tickets=40, steps=15)
    await folded(conn, story, seed)
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for thing in naive(story):
        if not (by == "person" and thing["what"] == "opened"):
            groups[thing[by]].append(thing)
    rows = {row["key"]: row for row in await figures(conn, ALL, by)}
    assert rows.keys() == groups.keys()
    for key, things in groups.items():
        row, kinds = rows[key], defaultdict(list)
        for thing in things:
            kinds[thing["what"]].append(thing)
        assert row["opened"] == (None if by == "person" else len(kinds["opened"]))
        for clock in ("first_response", "next_response", "resolution"):
            used = [thing["used"] for thing in kinds[clock]]
            judged = [thing["met"] for thing in kinds[clock] if thing["met"] is not None]
            assert (row[clock]["count"], row[clock]["judged"], row[clock]["met"]) == (
                len(used),
                len(judged),
                sum(judged),
            )
            assert (row[clock]["median"], row[clock]["p90"]) == (nearest_rank(used, 0.5), nearest_rank(used, 0.9))
        scores = [thing["score"] for thing in kinds["resolutions"] if thing["score"] is not None]
        assert row["resolutions"] == len(kinds["resolutions"])
        assert row["reopened"] == sum(thing["reopened"] for thing in kinds["resolutions"])
        assert row["satisfaction"]["count"] == len(scores)
        assert row["satisfaction"]["mean"] == (round(sum(scores) / len(scores), 4) if scores else None)


async def test_every_figure_lists_exactly_its_tickets_page_by_page(conn) -> None:
    story = random_story(21, tickets=40, steps=15)
    await folded(conn, story)
    for row in await figures(conn, ALL, "topic"):
        asked = Asked(ALL.since, ALL.until, topic=row["key"] or "none", only_topic=True)
        for figure in TABLES:
            listed: list[dict[str, Any]] = []
            cursor = None
            while True:
                total, page, cursor = await behind(conn, asked, figure, 3, cursor)
                listed += page
                if cursor is None:
                    break
            shown = row.get(figure)
            if figure == "missed":
                clocks = [row[clock] for clock in ("first_response", "next_response", "resolution")]
                shown = sum(clock["judged"] - clock["met"] for clock in clocks)
            assert total == len(listed) == (shown["count"] if isinstance(shown, dict) else shown), figure
            assert len({str(one) for one in listed}) == len(listed)


async def test_credit_stays_with_who_did_it_in_the_unit_of_then(conn) -> None:
    story = {
        "T1": told(
            say.opened(topic="refund"), say.assign(say.at("09:05")), say.reply(say.at("09:30")),
            say.hand_over(say.at("10:00"), "records"), say.classify(say.at("10:10"), "inquiry", "delay"),
            say.assign(say.at("10:30"), "bob"), say.resolve(say.at("11:00"), "bob"),
            say.satisfied(say.at("11:30"), 4), say.reopen(say.at("14:00")), say.resolve(say.at("15:00"), "ann"),
        )
    }  # fmt: skip
    await folded(conn, story)
    people = {row["key"]: row for row in await figures(conn, ALL, "person")}
    assert people["ann"]["first_response"]["median"] == 30 * say.MINUTE
    assert people["bob"]["satisfaction"] == {"count": 1, "mean": 4.0}
    assert (people["bob"]["reopen_rate"], people["ann"]["reopen_rate"]) == (1.0, 0.0)
    units = {row["key"]: row for row in await figures(conn, ALL, "unit")}
    assert (units["care"]["opened"], units["records"]["opened"]) == (0, 1)
    assert (units["care"]["first_response"]["count"], units["records"]["resolution"]["count"]) == (1, 2)
    [topic] = await figures(conn, ALL, "topic")
    assert (topic["key"], topic["first_response"]["count"]) == ("delay", 1)


async def test_a_month_begins_at_the_centres_midnight(conn) -> None:
    story = {"T1": told(say.opened(say.at("23:59", 29))), "T2": told(say.opened(say.at("00:00", 30), ticket="T2"))}
    await folded(conn, story)
    assert [(row["key"], row["opened"]) for row in await figures(conn, ALL, "month")] == [
        ("2026-03", 1),
        ("2026-04", 1),
    ]


async def test_complaints_of_a_topic_are_counted_by_month_without_merged_ones(conn) -> None:
    story = {
        "T1": told(say.opened(topic="refund")),
        "T2": told(say.opened(ticket="T2", topic="refund"), say.merge(say.at("10:00"), "T1")),
        "T3": told(say.opened(say.at("09:00", 40), ticket="T3", topic="refund")),
        "T4": told(say.opened(ticket="T4", topic="refund", kind="inquiry")),
    }
    story["T2"].append(TicketMerged(ticket="T2", into="T1", by="boss", at=say.at("10:00")))
    await folded(conn, story)
    assert await complaints_by_topic(conn, ALL) == {("refund", "2026-03"): 1, ("refund", "2026-04"): 1}


def tail(mean: Fraction, count: int) -> Decimal:
    """P(X >= count) of a Poisson variable, in fifty digits: the terms added up from `count` on."""
    with localcontext() as exact:
        exact.prec = 50
        rate = Decimal(mean.numerator) / Decimal(mean.denominator)
        term = (-rate).exp() * rate**count / math.factorial(count)
        total, n = Decimal(0), count
        while term > Decimal("1e-40") or n < rate:
            total += term
            n += 1
            term = term * rate / n
        return total


@pytest.mark.parametrize("mean", [Fraction(n, 12) for n in (1, 2, 5, 12, 13, 30, 61, 144, 600, 2400)])
def test_the_control_limit_is_the_smallest_count_whose_tail_is_below_the_level(mean: Fraction) -> None:
    limit = control_limit(mean)
    assert tail(mean, limit) < Decimal("0.00135") <= tail(mean, limit - 1)


def test_the_control_limit_of_large_and_of_no_means() -> None:
    assert control_limit(Fraction(0)) == 1
    assert 5000 + 2.9 * math.sqrt(5000) < control_limit(Fraction(5000)) < 5000 + 3.2 * math.sqrt(5000)
    chance = random.Random(4)
    means = sorted(Fraction(chance.randint(0, 900), chance.randint(1, 12)) for _ in range(60))
    assert [control_limit(mean) for mean in means] == sorted(control_limit(mean) for mean in means)


def test_a_concentration_needs_enough_past_enough_complaints_and_more_than_the_limit() -> None:
    raised = concentration("refund", "2026-10", 7, [1, 2, 1])
    assert raised is not None
    assert (raised.expected, raised.limit, raised.months) == (Fraction(4, 3), control_limit(Fraction(4, 3)), 3)
    assert concentration("refund", "2026-10", raised.limit - 1, [1, 2, 1]) is None
    assert concentration("refund", "2026-10", 50, [1, 2]) is None, "two months are no past"
    assert concentration("refund", "2026-10", 2, [0, 0, 0]) is None, "two complaints are no concentration"
    assert concentration("refund", "2026-10", 3, [0, 0, 0]) is not None
    older = concentration("refund", "2026-10", 9, [1] * 12 + [100])
    assert older is not None
    assert (older.months, older.expected) == (12, 1), "a year is compared, no more"


def test_months_without_complaints_are_past_and_months_before_the_first_ticket_are_not() -> None:
    counts = {("refund", "2026-10"): 4, ("delay", "2026-10"): 4, ("delay", "2026-09"): 9, ("delay", "2026-08"): 3}
    assert [one.topic for one in concentrations(counts, "2026-10", "2026-07")] == ["refund"]
    assert concentrations(counts, "2026-10", "2026-08") == []
    assert months_before("2026-02", 3) == ["2026-01", "2025-12", "2025-11"]


def test_a_pareto_list_runs_from_the_most_frequent_to_all_of_them() -> None:
    bars = pareto({"a": 1, "b": 6, None: 1, "c": 2, "d": 0})
    assert [(bar.key, bar.count) for bar in bars] == [("b", 6), ("c", 2), ("a", 1), (None, 1)]
    assert [bar.cumulated for bar in bars] == [Fraction(6, 10), Fraction(8, 10), Fraction(9, 10), Fraction(1)]
    assert pareto({}) == []
