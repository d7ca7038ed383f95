"""Clocks: promises kept to the second, pauses, other targets, warnings and breaches inside working time only."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.tickets import ClockEnded
from services.tickets import clocks
from services.tickets.clocks import Clock
from services.tickets.working_time import WorkingCalendar
from tests.oracle import minutes as oracle
from tests.oracle.minutes import Calendar, Lived, Move, utc
from tests.tickets.calendars import calendars, minutes, working

HOUR = 3600
OFFICE_HOURS = working(Calendar())
WEDNESDAY_TEN = utc("2026-11-25 10:00")


def running(target: int | None = 4 * HOUR, at: datetime = WEDNESDAY_TEN) -> Clock:
    return clocks.start("resolution", target, at)


def used(clock: Clock, at: str) -> int:
    return clocks.used_at(clock, OFFICE_HOURS, utc(at))


def warning(clock: Clock, percent: int = 80) -> datetime | None:
    return clocks.warning_at(clock, OFFICE_HOURS, percent)


def breach(clock: Clock) -> datetime | None:
    return clocks.breach_at(clock, OFFICE_HOURS)


def paused(clock: Clock, at: str) -> Clock:
    return clocks.pause(clock, OFFICE_HOURS, utc(at))


def retargeted(clock: Clock, target: int | None, at: str) -> Clock:
    return clocks.retarget(clock, OFFICE_HOURS, target, utc(at))


def test_a_clock_counts_working_seconds():
    assert used(running(), "2026-11-25 10:00") == 0
    assert used(running(), "2026-11-25 14:00") == 2 * HOUR + HOUR // 2
    assert used(running(), "2026-11-26 09:00") == 6 * HOUR + HOUR // 2


def test_warning_and_breach_are_instants_of_working_time():
    assert warning(running(4 * HOUR), 75) == utc("2026-11-25 14:30")
    assert breach(running(4 * HOUR)) == utc("2026-11-25 15:30")
    assert warning(running(4 * HOUR), 50) == utc("2026-11-25 13:30")  # over as lunch begins: said after it
    assert breach(running(2 * HOUR)) == utc("2026-11-25 13:30")


def test_a_ticket_of_the_evening_has_its_time_from_the_next_morning():
    assert breach(running(HOUR, utc("2026-11-25 20:00"))) == utc("2026-11-26 10:00")


def test_no_breach_falls_into_a_holiday():
    clock = running(4 * HOUR, utc("2026-09-30 16:00"))
    assert breach(clock) == utc("2026-10-08 11:00")
    assert used(clock, "2026-10-07 12:00") == 2 * HOUR


def test_a_make_up_saturday_brings_the_breach_forward():
    assert breach(running(4 * HOUR, utc("2026-10-09 16:00"))) == utc("2026-10-10 11:00")


def test_a_promise_kept_to_the_very_second_is_kept():
    at = "2026-11-25 15:30"
    assert clocks.ended(running(), OFFICE_HOURS, utc(at)) == ClockEnded(
        clock="resolution", used=4 * HOUR, target=4 * HOUR, met=True
    )
    assert clocks.ended(running(), OFFICE_HOURS, utc("2026-11-25 15:30:01")).met is False


def test_a_promise_used_up_in_the_evening_is_kept_until_the_next_morning():
    clock = running(HOUR, utc("2026-11-25 17:00"))
    assert clocks.ended(clock, OFFICE_HOURS, utc("2026-11-26 08:59:59")).met is True
    assert breach(clock) == utc("2026-11-26 09:00")
    assert clocks.ended(clock, OFFICE_HOURS, utc("2026-11-26 09:00:01")).met is False


def test_without_a_promise_time_is_measured_and_nothing_falls_due():
    clock = running(None)
    assert (warning(clock), breach(clock)) == (None, None)
    assert clocks.ended(clock, OFFICE_HOURS, utc("2026-11-25 11:00")) == ClockEnded(
        clock="resolution", used=HOUR, target=None, met=None
    )


def test_a_paused_clock_stands_still_and_nothing_falls_due():
    clock = paused(running(), "2026-11-25 11:00")
    assert (clock.used, clock.since) == (HOUR, None)
    assert used(clock, "2026-12-25 11:00") == HOUR
    assert (warning(clock), breach(clock)) == (None, None)


def test_a_clock_goes_on_where_it_stopped():
    clock = clocks.resume(paused(running(), "2026-11-25 11:00"), utc("2026-11-27 17:00"))
    assert breach(clock) == utc("2026-11-30 11:00")  # an hour used, an hour on Friday, two on Monday
    assert used(clock, "2026-11-30 09:30") == 2 * HOUR + HOUR // 2


def test_waiting_over_the_night_costs_nothing():
    clock = clocks.resume(paused(running(), "2026-11-25 18:00"), utc("2026-11-26 09:00"))
    assert used(clock, "2026-11-26 10:00") == used(running(), "2026-11-26 10:00")


def test_pausing_and_resuming_twice_changes_nothing():
    clock = paused(running(), "2026-11-25 11:00")
    assert paused(clock, "2026-11-25 15:00") == clock
    resumed = clocks.resume(clock, utc("2026-11-25 15:00"))
    assert clocks.resume(resumed, utc("2026-11-25 17:00")) == resumed


def test_a_clock_paused_at_its_last_second_breaks_only_when_time_goes_on():
    clock = paused(running(), "2026-11-25 15:30")
    assert clock.used == clock.target
    assert breach(clock) is None
    assert breach(clocks.resume(clock, utc("2026-11-25 20:00"))) == utc("2026-11-26 09:00")


def test_each_is_said_once():
    assert warning(replace(running(), warned=True)) is None
    assert breach(replace(running(), warned=True)) == utc("2026-11-25 15:30")
    broken = replace(running(), breached=True)
    assert (warning(broken), breach(broken)) == (None, None)


def test_a_warning_comes_before_the_breach_or_not_at_all():
    assert warning(running(1), 80) is None
    assert warning(running(10), 75) == utc("2026-11-25 10:00:08")  # 7.5 s: not before the share is used up
    assert warning(running(2), 50) == utc("2026-11-25 10:00:01")


def test_a_smaller_target_makes_due_sooner_from_the_same_time_used():
    clock = retargeted(running(4 * HOUR), 2 * HOUR, "2026-11-25 11:00")
    assert used(clock, "2026-11-25 11:00") == HOUR
    assert breach(clock) == utc("2026-11-25 13:30")


def test_a_target_that_is_over_when_it_is_set_is_broken_from_then_on_not_before():
    clock = retargeted(running(8 * HOUR), HOUR, "2026-11-25 15:00")
    assert warning(clock) is None
    assert breach(clock) == utc("2026-11-25 15:00")
    in_the_night = retargeted(running(8 * HOUR), HOUR, "2026-11-25 20:00")
    assert breach(in_the_night) == utc("2026-11-26 09:00")


def test_a_larger_target_may_warn_and_break_again():
    broken = replace(running(HOUR), warned=True, breached=True)
    clock = retargeted(broken, 4 * HOUR, "2026-11-25 11:30")
    assert (clock.warned, clock.breached) == (False, False)
    assert breach(clock) == utc("2026-11-25 15:30")


def test_a_larger_target_that_is_over_too_is_not_said_again():
    broken = replace(running(HOUR), warned=True, breached=True)
    clock = retargeted(broken, 2 * HOUR, "2026-11-25 17:00")
    assert (clock.warned, clock.breached) == (True, True)


def test_a_larger_target_used_up_to_the_second_can_still_be_kept():
    broken = replace(running(HOUR), warned=True, breached=True)
    clock = retargeted(broken, 2 * HOUR, "2026-11-25 12:00")
    assert (clock.breached, breach(clock)) == (False, utc("2026-11-25 13:30"))


def test_a_smaller_target_says_nothing_again():
    warned = replace(running(4 * HOUR), warned=True)
    assert warning(retargeted(warned, 3 * HOUR + HOUR // 2, "2026-11-25 14:45")) is None  # 3 h 15 min used: over 80 %
    broken = replace(warned, breached=True)
    assert breach(retargeted(broken, HOUR, "2026-11-25 16:00")) is None


def test_a_promise_taken_back_and_given_again_starts_unsaid():
    broken = replace(running(HOUR), warned=True, breached=True)
    none = retargeted(broken, None, "2026-11-25 11:30")
    assert (none.warned, none.breached, breach(none)) == (False, False, None)
    assert breach(retargeted(none, 2 * HOUR, "2026-11-25 11:45")) == utc("2026-11-25 13:30")


def test_in_a_calendar_with_no_working_time_to_come_nothing_falls_due():
    never = working(Calendar(week={}, make_up=()))
    assert clocks.breach_at(running(), never) is None
    assert clocks.warning_at(running(), never, 80) is None


def test_retargeting_a_paused_clock_leaves_it_paused():
    clock = retargeted(paused(running(), "2026-11-25 11:00"), 2 * HOUR, "2026-11-25 17:00")
    assert (clock.used, clock.since, clock.target) == (HOUR, None, 2 * HOUR)
    assert breach(clocks.resume(clock, utc("2026-11-26 09:00"))) == utc("2026-11-26 10:00")


def lived_by_rule(
    calendar: WorkingCalendar, start: datetime, target: int | None, percent: int, moves: list[Move], end: datetime
) -> Lived:
    """The same life as the oracle's, in jumps: at each move first what fell due strictly before it, then the move."""
    clock, lived = clocks.start("resolution", target, start), Lived()

    def pass_time(clock: Clock, at: datetime) -> Clock:
        warn, broke = clocks.warning_at(clock, calendar, percent), clocks.breach_at(clock, calendar)
        assert warn is None or broke is None or warn < broke
        if warn is not None and warn < at:
            lived.warned.append(warn)
            clock = replace(clock, warned=True)
        if broke is not None and broke < at:
            lived.broken.append(broke)
            clock = replace(clock, breached=True)
        return clock

    for move in moves:
        clock = pass_time(clock, move.at)
        if move.what == "retarget":
            clock = clocks.retarget(clock, calendar, move.target, move.at)
        else:
            clock = clocks.pause(clock, calendar, move.at) if move.what == "pause" else clocks.resume(clock, move.at)
    clock = pass_time(clock, end)
    lived.used = clocks.used_at(clock, calendar, end)
    return lived


# Whole minutes at any percentage: multiples of a hundred minutes. None = no promise.
TARGETS = st.one_of(st.none(), st.integers(1, 12).map(lambda number: number * 6000))
MOVES = st.lists(
    st.tuples(st.integers(0, 4 * 1440), st.sampled_from(["pause", "resume", "retarget"]), TARGETS), max_size=8
)
DAYS = timedelta(days=5)


@given(st.one_of(st.just(Calendar()), calendars()), minutes(), TARGETS, st.integers(1, 99), MOVES)
@example(Calendar(), utc("2026-11-25 16:20"), 6000, 80, [])  # over as the day ends
@example(Calendar(), utc("2026-11-25 16:20"), 6000, 80, [(100, "pause", None), (1000, "resume", None)])
@example(Calendar(), utc("2026-11-25 09:00"), 60000, 80, [(200, "retarget", 6000), (300, "retarget", 18000)])
@settings(max_examples=150, deadline=None)
def test_a_clocks_life_is_the_one_lived_minute_by_minute(
    calendar: Calendar,
    start: datetime,
    target: int | None,
    percent: int,
    drawn: list[tuple[int, str, int | None]],
):
    ordered = sorted(drawn, key=lambda each: each[0])
    moves = [Move(start + timedelta(minutes=after), what, to) for after, what, to in ordered]
    end = start + DAYS
    expected = oracle.live(calendar, start, target, percent, moves, end)
    assert lived_by_rule(working(calendar), start, target, percent, moves, end) == expected


@given(
    st.sampled_from(["2026-11-25 12:00", "2026-11-25 13:30", "2026-11-25 18:00", "2026-10-08 09:00"]),
    st.integers(-300, 60),
    st.integers(1, 300),
    st.integers(1, 99),
    st.lists(
        st.tuples(st.integers(0, 500), st.sampled_from(["pause", "resume", "retarget"]), st.integers(1, 300)),
        max_size=6,
    ),
)
@settings(max_examples=100, deadline=None)
def test_a_short_life_is_the_one_lived_second_by_second(
    edge: str, offset: int, target: int, percent: int, drawn: list[tuple[int, str, int]]
):
    start = utc(edge) + timedelta(seconds=offset)
    ordered = sorted(drawn, key=lambda each: each[0])
    moves = [Move(start + timedelta(seconds=after), what, to) for after, what, to in ordered]
    end = start + timedelta(seconds=600)
    expected = oracle.live(Calendar(), start, target, percent, moves, end, step=1)
    assert lived_by_rule(OFFICE_HOURS, start, target, percent, moves, end) == expected


@given(calendars(), minutes(), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(-2, 2))
@settings(max_examples=150, deadline=None)
def test_more_than_the_target_is_used_exactly_when_the_breach_is_past(
    calendar: Calendar, start: datetime, target: int, length: int, nearby: int
):
    clock, hours = running(target, start), working(calendar)
    broke = clocks.breach_at(clock, hours)
    if broke is None:
        assert clocks.used_at(clock, hours, start + timedelta(days=3650)) <= target
        return
    for at in (start + timedelta(seconds=length), broke + timedelta(seconds=nearby)):
        assert (clocks.used_at(clock, hours, at) > target) == (at > broke)
        assert clocks.ended(clock, hours, at).met is (at <= broke)


@pytest.mark.parametrize("percent", [1, 50, 80, 99])
def test_pausing_at_any_moment_for_no_time_moves_nothing(percent: int):
    clock = running(3 * HOUR)
    for minute in range(0, 300, 7):
        at = WEDNESDAY_TEN + timedelta(minutes=minute)
        again = clocks.resume(clocks.pause(clock, OFFICE_HOURS, at), at)
        if again.used <= 3 * HOUR:
            assert breach(again) == breach(clock)
        if again.used * 100 < 3 * HOUR * percent:
            assert warning(again, percent) == warning(clock, percent)
