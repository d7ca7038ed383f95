"""Calendars for tests: the oracle's plain ones as the contract's data, and drawn ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from contracts.service_levels import CalendarData, Interval, SpecialDay
from services.tickets.working_time import WorkingCalendar
from tests.oracle.minutes import Calendar, Wall

QUARTERS = 24 * 4
ZONES = (
    "Asia/Shanghai",
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Asia/Gaza",
)
# Days on which something happens: holidays, make-up days, the clock put forward or back somewhere, a year's turn.
TURNS = (
    *(date(2025, 1, 26), date(2025, 2, 8), date(2025, 3, 9), date(2025, 3, 30), date(2025, 4, 6), date(2025, 4, 12)),
    *(date(2025, 4, 27), date(2025, 10, 4), date(2025, 10, 11), date(2025, 10, 25), date(2025, 11, 2)),
    *(
        date(2025, 12, 31),
        date(2026, 2, 14),
        date(2026, 2, 28),
        date(2026, 5, 9),
        date(2026, 9, 20),
        date(2026, 10, 10),
    ),
)


def _intervals(walls: tuple[Wall, ...] | list[Wall]) -> list[Interval]:
    return [Interval.model_validate({"since": a, "until": "00:00" if b == "24:00" else b}) for a, b in walls]


def working(calendar: Calendar) -> WorkingCalendar:
    return WorkingCalendar(
        CalendarData.model_validate(
            {
                "timezone": calendar.zone,
                "week": {str(day): _intervals(list(walls)) for day, walls in calendar.week.items()},
                "holidays": "cn" if calendar.chinese else "none",
                "make_up": _intervals(list(calendar.make_up)),
                "special": [SpecialDay(day=d, intervals=_intervals(list(w))) for d, w in calendar.special.items()],
            }
        )
    )


def _wall(quarter: int) -> str:
    return f"{quarter // 4:02}:{quarter % 4 * 15:02}"


@st.composite
def hours(draw: st.DrawFn) -> tuple[Wall, ...]:
    """Up to three intervals of a day, apart or touching, at quarters of an hour."""
    count = draw(st.integers(0, 3)) * 2
    edges = sorted(draw(st.lists(st.integers(0, QUARTERS), min_size=count, max_size=count, unique=True)))
    walls = [(_wall(edges[n]), _wall(edges[n + 1])) for n in range(0, count, 2)]
    return tuple(walls)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    week = draw(st.dictionaries(st.integers(1, 7), hours(), min_size=1, max_size=7))
    near = st.builds(lambda turn, days: turn + timedelta(days), st.sampled_from(TURNS), st.integers(-3, 3))
    return Calendar(
        zone=draw(st.sampled_from(ZONES)),
        week=week,
        chinese=draw(st.booleans()),
        make_up=draw(hours()),
        special=draw(st.dictionaries(near, hours(), max_size=3)),
    )


@st.composite
def minutes(draw: st.DrawFn) -> datetime:
    """A whole minute within three days of a turn, in UTC."""
    turn = draw(st.sampled_from(TURNS))
    return datetime(turn.year, turn.month, turn.day, tzinfo=UTC) + timedelta(minutes=draw(st.integers(-4320, 4320)))
