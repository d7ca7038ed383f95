"""The boundary cases of "Readings": dues, credit, days, status; worked out by hand."""

from __future__ import annotations

from datetime import date
from fractions import Fraction as F

import pytest

from tests.oracle.days import days_of, periods_touching, week_of
from tests.oracle.figures import Figure, expected_status, status
from tests.oracle.small import OCTOBER, Rows, account, event, member, organisation, person, sent


def test_due_days_are_calendar_days_in_a_bound_group_and_not_absent() -> None:
    people = (
        person("A", member("commercial", since="2026-10-12")),  # joins on the 12th: 20 days
        person("B", member("commercial", until="2026-10-15"), absences=(("2026-10-15", "2026-10-20"),)),  # 15 - 1
        person("C", member("public-interest", until="2026-10-10"), member("commercial", since="2026-10-11")),
        person("F", member("commercial"), absences=(("2026-09-20", "2026-11-02"),)),  # away all month
    )
    rows = Rows(organisation(people=people))
    assert rows("H-26b", "person", "A") == (0, F(30 * 20, 31))
    assert rows("H-35c-weibo", "person", "A") == (0, F(20, 31))  # accounts and originals are prorated too
    assert rows("H-26b", "person", "B") == (0, F(30 * 14, 31))
    assert rows("H-26b", "person", "C") == (0, 30)  # "moving between bound groups changes nothing"
    assert rows("H-26b", "person", "F") == (0, 0)  # a row, without target
    assert Rows(organisation(people=people), period="2026-11")("H-26b", "person", "B") is None  # bound on no day


def test_all_the_persons_work_counts_for_the_person_and_is_credited_by_day() -> None:
    mover = person("A", member("commercial", until="2026-10-10"), member("channel", since="2026-10-13"))
    rows = Rows(
        organisation(people=(mover,)),
        event("baidu_qa.answer", "A", "2026-10-10"),
        event("baidu_qa.answer", "A", "2026-10-11", quantity=2),  # between two units: no unit, no credit
        event("baidu_qa.answer", "A", "2026-10-13", quantity=4),
    )
    assert rows("H-30a", "person", "A") == (7, F(30 * 10, 31))
    assert rows("H-30a", "unit", "commercial") == (1, 0)
    assert rows("H-30a", "unit", "channel") == (4, 0)
    assert rows("H-30a", "unit", "promotion") == rows("H-30a", "unit", "centre") == (5, 0)


def test_several_groups_at_once() -> None:
    both = person("A", member("commercial"), member("channel"), member("public-interest", since="2026-10-05"))
    rows = Rows(organisation(people=(both,)), event("email.sent", "A", quantity=10), event("seo.task", "A"))
    assert rows("H-26b", "person", "A") == (0, 30)  # bound if any binds, and due once
    for unit in ("commercial", "channel", "public-interest", "promotion", "centre"):
        assert rows("H-23", "unit", unit) == (1, 0)
    assert rows("H-27", "unit", "promotion") == (10, 0)


def test_directly_in_a_department_counts_for_it_and_for_no_group() -> None:
    rows = Rows(organisation(), event("seo.task", "E"))
    assert rows("H-23", "person", "E") == (1, 0)
    assert rows("H-23", "unit", "promotion") == (1, 0)
    assert rows("H-23", "unit", "channel") == (0, 0)


@pytest.mark.parametrize(
    ("time", "counts"),
    [
        ("2026-09-30T16:00:00Z", True),  # midnight in the centre's zone
        ("2026-09-30T15:59:59.999999999Z", False),  # sub-seconds are cut, not rounded
        ("2026-10-31T23:59:59.9+08:00", True),
        ("2026-10-31T16:00:00Z", False),
        ("2026-10-31T11:30:00-05:00", False),  # 00:30 on 1 November
        ("2026-10-31T10:30:00-05:00", True),
        ("2026-10-01T05:29:00+13:30", False),
        ("2026-10-01T05:30:00+13:30", True),
    ],
)
def test_the_day_is_the_local_day_of_the_centre(time: str, counts: bool) -> None:
    rows = Rows(organisation(), event("seo.task", "A", time=time))
    assert rows("H-23", "person", "A") == (1 if counts else 0, 0)


def test_weeks_are_iso_weeks() -> None:
    assert week_of(date(2027, 1, 3)) == "2026-W53"
    assert days_of("2026-W53") == [date(2026, 12, d) for d in (28, 29, 30, 31)] + [date(2027, 1, d) for d in (1, 2, 3)]
    assert len(days_of("2028-02")) == 29
    assert periods_touching([date(2027, 1, 1)]) == ["2026-W53", "2027-01", "2027-01-01"]


def test_monthly_weekly_and_daily_figures_do_not_mix() -> None:
    org = organisation(account("blog", "b", "A"), account("encyclopedia", "e", verified=("2026-01-01", None)))
    deeds = (
        event("blog.original", "A", account="b"),
        event("blog.exchange_comment", "A", counterpart="B"),
        event("encyclopedia.update", "A", account="e"),
    )
    month, week, day = (Rows(org, *deeds, period=period).rows for period in (OCTOBER, "2026-W41", "2026-10-05"))
    assert not {key[0] for key in month} & {"H-32d", "H-33"}
    assert {key[0] for key in week} == {"H-32d", "H-33"}
    assert {key[0] for key in day} == {"H-32a"}


TEN_OF_OCTOBER = tuple(date(2026, 10, day) for day in range(11, 21))


@pytest.mark.parametrize(
    ("done", "today", "says"),
    [
        (0, date(2026, 10, 11), "on_track"),  # no due day has passed yet
        (0, date(2026, 10, 12), "behind"),
        (0, date(2026, 10, 13), "behind"),
        (0, date(2026, 10, 14), "at_risk"),  # three due days behind
        (9, date(2026, 10, 14), "on_track"),  # 30 x 3/10
        (8, date(2026, 10, 14), "at_risk"),
        (29, date(2026, 10, 31), "at_risk"),  # the last day still runs
        (30, date(2026, 10, 31), "on_track"),
        (30, date(2026, 11, 1), "met"),
        (29, date(2026, 11, 1), "missed"),
        (0, date(2026, 9, 1), "on_track"),  # a month to come
    ],
)
def test_status_follows_the_due_days(done: int, today: date, says: str) -> None:
    assert status(Figure(F(done), F(30), TEN_OF_OCTOBER), OCTOBER, today) == says


def test_status_of_no_target_and_of_a_group() -> None:
    mails = sent(event("email.sent", "A", quantity=3000))
    shown = expected_status(organisation(), mails, OCTOBER, date(2026, 10, 10))
    assert shown["H-23", "person", "A", OCTOBER] == "no_target"
    assert shown["H-27", "unit", "commercial", OCTOBER] == "on_track"  # 10000 x 9/31 = 2903.2
    assert shown["H-27", "unit", "public-interest", OCTOBER] == "at_risk"
    assert shown["H-27", "unit", "channel", OCTOBER] == "no_target"
