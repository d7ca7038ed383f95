"""Working time and clocks by living through every minute (or second): slow, and hardly anything to get wrong.

It knows the calendar as plain data and the public holidays as the State Council announced them in the Novembers of
2024 and 2025, typed in by hand. Nothing is summed ahead and no interval is ever cut: at each
step it looks at a wall clock and asks "is anybody working now?".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = 60
Wall = tuple[str, str]  # ("09:00", "12:00"): from, up to; "24:00" is the end of the day


def _days(*written: str) -> set[date]:
    """ "2025-05-01..05" is five days, "2025-01-26" one."""
    found = set()
    for each in written:
        first, _, last = each.partition("..")
        day = date.fromisoformat(first)
        found |= {day.replace(day=number) for number in range(day.day, int(last or day.day) + 1)}
    return found


CLOSED = _days(
    *("2025-01-01", "2025-01-28..31", "2025-02-01..04", "2025-04-04..06", "2025-05-01..05", "2025-05-31"),
    *("2025-06-01..02", "2025-10-01..08"),
    *("2026-01-01..03", "2026-02-15..23", "2026-04-04..06", "2026-05-01..05", "2026-06-19..21"),
    *("2026-09-25..27", "2026-10-01..07"),
)
MADE_UP_FOR = _days(
    *("2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"),
    *("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"),
)
OFFICE: tuple[Wall, ...] = (("09:00", "12:00"), ("13:30", "18:00"))


@dataclass(frozen=True)
class Calendar:
    zone: str = "Asia/Shanghai"
    week: Mapping[int, Sequence[Wall]] = field(default_factory=lambda: dict.fromkeys(range(1, 6), OFFICE))
    chinese: bool = True
    make_up: Sequence[Wall] = OFFICE
    special: Mapping[date, Sequence[Wall]] = field(default_factory=dict)

    def hours(self, day: date) -> Sequence[Wall]:
        if day in self.special:
            return self.special[day]
        if self.chinese and day in MADE_UP_FOR:
            return self.make_up
        if self.chinese and day in CLOSED:
            return ()
        return self.week.get(day.isoweekday(), ())

    def works_at(self, instant: datetime) -> bool:
        local = instant.astimezone(ZoneInfo(self.zone))
        clock = f"{local:%H:%M:%S}"
        return any(_long(since) <= clock < _long(until) for since, until in self.hours(local.date()))


def _long(wall: str) -> str:
    return wall if len(wall) == 8 else f"{wall}:00"


def _steps(start: datetime, step: int) -> Iterator[datetime]:
    while True:
        yield start
        start += timedelta(seconds=step)


def between(calendar: Calendar, start: datetime, end: datetime, step: int = MINUTE) -> int:
    """Working seconds of [start, end). The instants and the calendar's times are whole steps."""
    worked = 0
    for instant in _steps(start, step):
        if instant >= end:
            return worked
        if calendar.works_at(instant):
            worked += step
    raise AssertionError


def after(calendar: Calendar, start: datetime, seconds: int, step: int = MINUTE, *, days: int = 60) -> datetime | None:
    """The first instant at which `seconds` were worked and somebody works on; None: not within so many days."""
    worked = 0
    for instant in _steps(start, step):
        if instant > start + timedelta(days=days):
            return None
        if calendar.works_at(instant):
            if worked >= seconds:
                return instant
            worked += step
    raise AssertionError


@dataclass(frozen=True)
class Move:
    """Something done to a clock: "pause", "resume" or "retarget" (to `target`)."""

    at: datetime
    what: str
    target: int | None = None


@dataclass
class Lived:
    """What came of a clock: the seconds it measured, when it warned, when promises were broken."""

    used: int = 0
    warned: list[datetime] = field(default_factory=list)
    broken: list[datetime] = field(default_factory=list)


def live(
    calendar: Calendar,
    start: datetime,
    target: int | None,
    percent: int,
    moves: Sequence[Move],
    end: datetime,
    step: int = MINUTE,
) -> Lived:
    """Live through a clock's whole life, from `start` to `end`. All instants, targets and shares are whole steps.

    A promise is broken in the step that is worked although the target is used up already: "used == target is met".
    """
    lived = Lived()
    running, warned, broken = True, False, False
    waiting = sorted(moves, key=lambda move: move.at)
    for instant in _steps(start, step):
        while waiting and waiting[0].at <= instant:
            move = waiting.pop(0)
            if move.what == "retarget":
                # "a past breach of the old target stays on record; a target now larger may fire again"
                larger = move.target is None or target is None or move.target > target
                target = move.target
                broken = broken and target is not None and lived.used > target
                warned = warned and (broken or not larger)
            else:
                running = move.what == "resume"
        if instant >= end:
            return lived
        if not running or not calendar.works_at(instant):
            continue
        if target is not None and not broken:
            if lived.used >= target:
                lived.broken.append(instant)
                broken = True
            elif not warned and lived.used * 100 >= target * percent:
                lived.warned.append(instant)
                warned = True
        lived.used += step
    raise AssertionError


def utc(text: str, zone: str = "Asia/Shanghai") -> datetime:
    """ "2026-10-10 09:00" on the zone's wall clock, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
