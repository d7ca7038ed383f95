"""Working time: around lunch, midnight, weekends, holidays, make-up days, closures and the clock's changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.service_levels import CalendarData
from services.tickets.working_time import WorkingCalendar, holidays_known_until
from tests.oracle import minutes as oracle
from tests.oracle.minutes import CLOSED, MADE_UP_FOR, OFFICE, Calendar, utc
from tests.tickets.calendars import calendars, minutes, working

HOUR = 3600
WORKDAY = 7 * HOUR + HOUR // 2
OFFICE_HOURS = working(Calendar())


def between(start: str, end: str, calendar: WorkingCalendar = OFFICE_HOURS) -> int:
    return calendar.between(utc(start), utc(end))


def after(start: str, seconds: int, calendar: WorkingCalendar = OFFICE_HOURS) -> datetime:
    return calendar.after(utc(start), seconds)


def test_lunch_is_not_worked():
    assert between("2026-11-25 11:00", "2026-11-25 14:00") == HOUR + HOUR // 2
    assert between("2026-11-25 12:00", "2026-11-25 13:30") == 0
    assert between("2026-11-25 11:59:59", "2026-11-25 13:30:01") == 2


def test_what_is_over_as_lunch_begins_is_reached_after_it():
    assert after("2026-11-25 11:00", HOUR - 1) == utc("2026-11-25 11:59:59")
    assert after("2026-11-25 11:00", HOUR) == utc("2026-11-25 13:30")
    assert after("2026-11-25 11:00", HOUR + 1) == utc("2026-11-25 13:30:01")


def test_what_is_over_at_the_evening_is_reached_on_the_next_working_day():
    assert after("2026-11-25 17:00", HOUR) == utc("2026-11-26 09:00")
    assert after("2026-11-27 17:00", HOUR) == utc("2026-11-30 09:00")  # Friday, Monday


def test_no_time_at_all_is_reached_at_once_or_when_work_begins():
    assert after("2026-11-25 10:00", 0) == utc("2026-11-25 10:00")
    assert after("2026-11-25 12:00", 0) == utc("2026-11-25 13:30")
    assert after("2026-11-28 10:00", 0) == utc("2026-11-30 09:00")  # Saturday


def test_a_day_is_closed_over_midnight_in_the_calendars_zone_not_in_utc():
    assert between("2026-11-25 18:00", "2026-11-26 09:00") == 0
    assert between("2026-11-26 00:00", "2026-11-27 00:00") == WORKDAY


def test_a_night_shift_goes_on_over_midnight():
    nights = working(Calendar(week=dict.fromkeys(range(1, 8), (("00:00", "06:00"), ("22:00", "24:00"))), chinese=False))
    assert between("2026-11-25 21:00", "2026-11-26 07:00", nights) == 8 * HOUR
    assert after("2026-11-25 22:00", 2 * HOUR, nights) == utc("2026-11-26 00:00")
    assert after("2026-11-25 23:59:59", 2, nights) == utc("2026-11-26 00:00:01")


def test_a_calendar_that_never_closes_counts_every_second():
    always = working(Calendar(week=dict.fromkeys(range(1, 8), (("00:00", "24:00"),)), chinese=False))
    assert between("2025-12-31 23:59:58", "2026-01-01 00:00:03", always) == 5
    assert after("2025-12-31 23:59:58", 5, always) == utc("2026-01-01 00:00:03")


def test_public_holidays_are_closed_whatever_their_weekday():
    assert between("2026-09-30 17:00", "2026-10-08 10:00") == 2 * HOUR  # the National Day holiday, a week
    assert after("2026-09-30 17:30", HOUR) == utc("2026-10-08 09:30")
    assert after("2026-02-13 18:00", WORKDAY) == utc("2026-02-24 09:00")  # after the make-up Saturday 14th


def test_a_make_up_saturday_is_worked():
    assert between("2026-10-10 00:00", "2026-10-11 00:00") == WORKDAY
    assert after("2026-10-09 17:00", 2 * HOUR) == utc("2026-10-10 10:00")


def test_a_make_up_day_has_hours_of_its_own():
    mornings = working(Calendar(make_up=(("09:00", "12:00"),)))
    assert between("2026-10-10 00:00", "2026-10-11 00:00", mornings) == 3 * HOUR
    assert between("2026-10-10 00:00", "2026-10-11 00:00", working(Calendar(make_up=()))) == 0


def test_an_ordinary_saturday_is_worked_where_the_week_says_so():
    six_days = working(Calendar(week=dict.fromkeys(range(1, 7), OFFICE)))
    assert between("2026-11-28 00:00", "2026-11-30 00:00", six_days) == WORKDAY
    assert between("2026-10-03 00:00", "2026-10-04 00:00", six_days) == 0  # a Saturday of the National Day holiday


def test_an_extra_closure_and_an_extra_opening_go_before_everything():
    special = {
        date(2026, 11, 25): (),
        date(2026, 10, 1): (("10:00", "11:00"),),
        date(2026, 10, 10): (),
        date(2026, 11, 29): (("08:00", "09:00"),),
    }
    calendar = working(Calendar(special=special))
    assert between("2026-11-25 00:00", "2026-11-26 00:00", calendar) == 0
    assert between("2026-10-01 00:00", "2026-10-02 00:00", calendar) == HOUR
    assert between("2026-10-10 00:00", "2026-10-11 00:00", calendar) == 0
    assert after("2026-11-27 17:30", HOUR, calendar) == utc("2026-11-29 08:30")


def test_without_public_holidays_the_weekday_decides():
    plain = working(Calendar(chinese=False))
    assert between("2026-10-01 00:00", "2026-10-02 00:00", plain) == WORKDAY
    assert between("2026-10-10 00:00", "2026-10-11 00:00", plain) == 0
    assert plain.known_until == date.max


def test_years_whose_holidays_are_not_known_go_by_the_weekday_and_the_calendar_says_from_when():
    assert OFFICE_HOURS.known_until == holidays_known_until()
    beyond = date(2037, 10, 1)  # a Thursday
    assert beyond > OFFICE_HOURS.known_until
    assert len(OFFICE_HOURS.spans(beyond)) == 2
    assert OFFICE_HOURS.spans(date(2003, 10, 1))  # before the first year that is known, a Wednesday


def test_the_days_of_a_year_not_known_yet_can_be_said_as_special_ones():
    calendar = working(Calendar(special={date(2037, 10, 1): (), date(2037, 10, 10): OFFICE}))  # Thursday, Saturday
    assert calendar.spans(date(2037, 10, 1)) == ()
    assert calendar.between(utc("2037-10-10 00:00"), utc("2037-10-11 00:00")) == WORKDAY


@pytest.mark.parametrize("year", [2025, 2026])
def test_every_day_of_the_years_announced_is_open_or_closed_as_announced(year: int):
    day = date(year, 1, 1)
    while day.year == year:
        expected = day in MADE_UP_FOR or (day.isoweekday() <= 5 and day not in CLOSED)
        assert bool(OFFICE_HOURS.spans(day)) == expected, day
        day += timedelta(1)


def test_spans_of_a_day_are_instants_in_order():
    assert OFFICE_HOURS.spans(date(2026, 11, 25)) == (
        (utc("2026-11-25 09:00"), utc("2026-11-25 12:00")),
        (utc("2026-11-25 13:30"), utc("2026-11-25 18:00")),
    )


NIGHT_IN_BERLIN = working(Calendar(zone="Europe/Berlin", week={7: (("01:00", "04:00"),)}, chinese=False))


def test_where_the_clock_is_put_forward_an_hour_is_not_worked():
    assert [until - since for since, until in NIGHT_IN_BERLIN.spans(date(2026, 3, 29))] == [
        timedelta(hours=1),
        timedelta(hours=1),
    ]
    night = utc("2026-03-29 00:00", "Europe/Berlin"), utc("2026-03-29 12:00", "Europe/Berlin")
    assert NIGHT_IN_BERLIN.between(*night) == 2 * HOUR


def test_where_the_clock_is_put_back_an_hour_is_worked_twice():
    night = utc("2026-10-25 00:00", "Europe/Berlin"), utc("2026-10-25 12:00", "Europe/Berlin")
    assert NIGHT_IN_BERLIN.between(*night) == 4 * HOUR


def test_an_interval_inside_the_hour_that_is_left_out_does_not_come():
    gap = working(Calendar(zone="Europe/Berlin", week={7: (("02:15", "02:45"),)}, chinese=False))
    assert gap.spans(date(2026, 3, 29)) == ()
    assert len(gap.spans(date(2026, 10, 25))) == 2


def test_nothing_is_worked_backwards():
    assert between("2026-11-25 11:00", "2026-11-25 10:00") == 0
    assert between("2026-11-25 11:00", "2026-11-25 11:00") == 0
    with pytest.raises(ValueError, match="forward only"):
        after("2026-11-25 11:00", -1)


def test_an_instant_without_offset_is_refused():
    with pytest.raises(ValueError, match="offset"):
        OFFICE_HOURS.between(datetime(2026, 11, 25), utc("2026-11-25 10:00"))


def test_a_calendar_in_which_nobody_ever_works_says_so():
    never = working(Calendar(week={}, make_up=()))
    assert between("2026-01-01 00:00", "2029-01-01 00:00", never) == 0
    with pytest.raises(ValueError, match="not over in 10 years"):
        after("2026-01-01 00:00", 0, never)
    with pytest.raises(ValueError, match="not over in 10 years"):
        after("2026-01-01 00:00", 11 * 261 * WORKDAY)


def test_the_end_of_time_is_no_accident():
    last = datetime(9998, 12, 31, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="not over"):
        OFFICE_HOURS.after(last, 10**9)


def test_intervals_may_touch_and_stand_in_any_order():
    data = CalendarData.model_validate(
        {"week": {"3": [{"since": "13:00", "until": "15:00"}, {"since": "09:00", "until": "13:00"}]}}
    )
    assert between("2026-11-25 00:00", "2026-11-26 00:00", WorkingCalendar(data)) == 6 * HOUR


@given(calendars(), minutes(), st.integers(0, 6 * 1440))
@example(Calendar(), utc("2025-12-31 17:59"), 5 * 1440)
@settings(max_examples=120, deadline=None)
def test_between_is_what_living_through_every_minute_counts(calendar: Calendar, start: datetime, length: int):
    end = start + timedelta(minutes=length)
    assert working(calendar).between(start, end) == oracle.between(calendar, start, end)


@given(calendars(), minutes(), st.integers(0, 30 * 60))
@example(Calendar(), utc("2026-11-25 17:00"), 60)
@settings(max_examples=80, deadline=None)
def test_after_is_what_living_through_every_minute_reaches(calendar: Calendar, start: datetime, length: int):
    expected = oracle.after(calendar, start, length * 60, days=9)
    if expected is not None:
        assert working(calendar).after(start, length * 60) == expected
    else:
        try:
            found = working(calendar).after(start, length * 60)
        except ValueError:
            return
        assert found > start + timedelta(days=9)


@given(
    st.sampled_from(
        ["2026-11-25 12:00", "2026-11-25 13:30", "2026-11-25 18:00", "2026-10-10 09:00", "2026-10-08 09:00"]
    ),
    st.integers(-400, 400),
    st.integers(0, 800),
)
@settings(max_examples=60, deadline=None)
def test_around_the_edges_every_second_is_right(edge: str, offset: int, length: int):
    start = utc(edge) + timedelta(seconds=offset)
    end = start + timedelta(seconds=length)
    worked = oracle.between(Calendar(), start, end, step=1)
    assert OFFICE_HOURS.between(start, end) == worked
    assert OFFICE_HOURS.between(start, OFFICE_HOURS.after(start, worked)) == worked


@given(calendars(), minutes(), st.integers(0, 4 * 10**7), st.integers(0, 10**7))
@settings(max_examples=200, deadline=None)
def test_after_undoes_between_and_time_adds_up(calendar: Calendar, start: datetime, length: int, seconds: int):
    clock = working(calendar)
    middle, end = start + timedelta(seconds=length // 3), start + timedelta(seconds=length)
    assert clock.between(start, middle) + clock.between(middle, end) == clock.between(start, end)
    try:
        reached = clock.after(start, seconds)
    except ValueError:
        return  # hardly anybody works in this calendar
    assert clock.between(start, reached) == seconds
    assert clock.between(start, reached + timedelta(seconds=1)) == seconds + 1  # work goes on there
    day = reached.astimezone(clock._zone).date()
    assert any(since <= reached < until for since, until in clock.spans(day))
