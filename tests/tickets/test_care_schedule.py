"""The schedule of return visits against a day-by-day oracle, and that waking late or often makes no difference."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.tickets.care_commands import ScheduleVisit
from services.tickets.care_decisions_visits import end_of
from services.tickets.care_domain import VisitRule
from services.tickets.care_schedule import AHEAD, Planned, Source, begins, given_up, schedule

ZONE = ZoneInfo("Asia/Shanghai")
START = date(2026, 1, 1)


def noon(day: int) -> datetime:
    return datetime.combine(START + timedelta(days=day), time(4), UTC)


def rule_of(days: int = 30, at: int = 0, since: int = 0, trigger: str = "every_days", **other: object) -> VisitRule:
    rule = VisitRule(
        "r", trigger, days, "forum", (), "service", None, START + timedelta(days=since), False, noon(at)  # type: ignore[arg-type]
    )  # fmt: skip
    return replace(rule, **other)  # type: ignore[arg-type]


def wanted_days(rule: VisitRule, source: Source, until: date) -> list[date]:
    """The oracle: ask of each day by itself whether a visit is due on it."""
    found = []
    day = begins(rule, ZONE)
    while day <= until:
        began = None if source.since is None else source.since.astimezone(ZONE).date()
        if rule.trigger == "after_complaint":
            due = began is not None and began >= rule.since and day - began == timedelta(days=rule.days)
        else:
            anchor = max(rule.since, began) if began else rule.since
            due = day > anchor and (day - anchor).days % rule.days == 0
        if due and not rule.ended:
            found.append(day)
        day += timedelta(days=1)
    return found


day_numbers = st.integers(0, 400)
rules = st.builds(
    rule_of,
    days=st.integers(1, 120),
    at=day_numbers,
    since=day_numbers,
    trigger=st.sampled_from(["every_days", "after_complaint"]),
    ended=st.booleans(),
)
sources = st.builds(
    Source, customer=st.sampled_from("abc"), project=st.just("forum"), since=st.builds(noon, day_numbers)
)


@given(rules, sources, day_numbers)
def test_the_schedule_is_the_oracles_day_by_day(rule: VisitRule, source: Source, today: int) -> None:
    now = START + timedelta(days=today)
    made = schedule(rule, [source], (), now, ZONE)
    assert [one.due for one in made] == wanted_days(rule, source, now + timedelta(days=AHEAD))


@given(rules, st.lists(sources, max_size=4, unique_by=lambda s: s.customer), day_numbers, st.integers(0, 200))
def test_a_later_day_only_adds(rule: VisitRule, whom: list[Source], today: int, more: int) -> None:
    early = schedule(rule, whom, (), START + timedelta(days=today), ZONE)
    late = schedule(rule, whom, (), START + timedelta(days=today + more), ZONE)
    assert {one.visit: one for one in early}.items() <= {one.visit: one for one in late}.items()
    assert len({one.visit for one in late}) == len(late)


@given(rules, sources, day_numbers)
def test_a_visits_instant_is_before_it_can_be_missed_and_after_its_reasons(
    rule: VisitRule, source: Source, today: int
) -> None:
    for one in schedule(rule, [source], (), START + timedelta(days=today), ZONE):
        assert rule.at <= one.at < end_of(one.due, ZONE)
        assert source.since is None or source.since <= one.at


@given(rules, st.lists(sources, max_size=4, unique_by=lambda s: s.customer), day_numbers)
def test_nothing_of_the_schedule_is_given_up_before_the_rule_changes(
    rule: VisitRule, whom: list[Source], today: int
) -> None:
    made = [_planned(one) for one in schedule(rule, whom, (), START + timedelta(days=today), ZONE)]
    assert given_up(rule, whom, made, ZONE) == []
    assert given_up(replace(rule, ended=True), whom, made, ZONE) == [one.visit for one in made]
    assert given_up(rule, [], made, ZONE) == [one.visit for one in made]


def _planned(one: ScheduleVisit) -> Planned:
    return Planned(one.visit, one.customer, one.project, one.ticket, one.due)


@dataclass
class Ledger:
    """What the worker reads of an every-days rule and writes for it, without a database."""

    visits: dict[str, ScheduleVisit] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)

    def standing(self) -> list[ScheduleVisit]:
        return [one for one in self.visits.values() if one.visit not in self.withdrawn]

    def wake(self, rule: VisitRule, whom: list[Source], today: date) -> None:
        first = begins(rule, ZONE)
        former = {(v.customer, v.project, v.ticket, v.due) for v in self.standing() if v.at < rule.at}
        known = [replace(source, last=self._last(rule, source)) for source in whom]
        planned = [_planned(v) for v in self.standing() if v.due >= max(first, today)]
        wanted = schedule(rule, known, former, today, ZONE)
        self.withdrawn |= set(given_up(rule, known, planned, ZONE))
        for one in wanted:
            self.visits.setdefault(one.visit, one)

    def _last(self, rule: VisitRule, source: Source) -> date | None:
        mine = [v.due for v in self.visits.values() if v.customer == source.customer and v.at >= rule.at]
        return max(mine, default=None)

    def days(self) -> list[tuple[str, date]]:
        return sorted((v.customer, v.due) for v in self.standing())


people = st.lists(sources, min_size=1, max_size=3, unique_by=lambda s: s.customer)


@given(rules, people, st.sets(st.integers(0, 300), max_size=12))
def test_waking_late_or_often_makes_the_same_visits_once(rule: VisitRule, whom: list[Source], wakes: set[int]) -> None:
    if rule.trigger == "after_complaint":
        rule = replace(rule, trigger="every_days")
    often, once = Ledger(), Ledger()
    for day in sorted({*wakes, 300}):
        often.wake(rule, whom, START + timedelta(days=day))
    once.wake(rule, whom, START + timedelta(days=300))
    assert often.days() == once.days()
    assert often.visits == once.visits


@settings(max_examples=60)
@given(people, st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40), st.booleans()), min_size=1, max_size=5))
def test_a_changed_rule_has_its_own_days_and_no_others_from_then_on(
    whom: list[Source], changes: list[tuple[int, int, bool]]
) -> None:
    ledger, today = Ledger(), 0
    for days, lasts, ended in changes:
        rule = rule_of(days=days, at=today, ended=ended)
        for day in range(today, today + lasts):
            ledger.wake(rule, whom, START + timedelta(days=day))
        now = today + lasts - 1
        first = begins(rule, ZONE)
        until = START + timedelta(days=now + AHEAD)
        expected = sorted((s.customer, day) for s in whom for day in wanted_days(rule, s, until))
        assert [(who, due) for who, due in ledger.days() if due >= first] == expected
        today += lasts


def test_a_complaint_resolved_again_the_day_it_was_reopened_has_another_visit_id() -> None:
    rule = rule_of(days=7, trigger="after_complaint")
    first = Source("a", "forum", noon(3), "T1", 1)
    [one] = schedule(rule, [first], (), START + timedelta(days=3), ZONE)
    [other] = schedule(rule, [replace(first, resolution=2)], (), START + timedelta(days=3), ZONE)
    assert one.due == other.due == START + timedelta(days=10)
    assert one.visit != other.visit


def test_a_rule_speaks_of_the_days_after_it_was_given() -> None:
    rule = rule_of(days=1, at=100)
    made = schedule(rule, [Source("a", None)], (), START + timedelta(days=100), ZONE)
    assert [one.due for one in made] == [START + timedelta(days=100 + n) for n in range(1, AHEAD + 1)]
