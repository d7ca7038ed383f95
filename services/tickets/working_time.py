"""Working time: how many of the seconds between two instants are worked, and when a number of them is over.

Pure arithmetic on a calendar given as data. An instant is working time when the wall clock of the calendar's zone reads
a time inside one of that day's intervals; where the clock is put forward such a time may not come, where it is put
back it comes twice, and both are counted as they are lived through.
Sources: State Council notices of public holidays and make-up working days, as `chinesecalendar` has them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from chinese_calendar.constants import holidays, workdays

from contracts.service_levels import CalendarData, Interval

DAY = 86_400
SEARCHED_YEARS = 10  # no working second in so many years: there will be none
_EPOCH = date(1970, 1, 1).toordinal()
_LAST_YEAR = date.max.year - 1  # the last of which every local day is an instant in every zone
_WIDEST_OFFSET = 26 * 3600  # no zone has ever been further than this from UTC

Span = tuple[int, int]  # seconds since 1970, the end not included


def holidays_known_until() -> date:
    """Return the last day whose public holidays are known; what comes after goes by its weekday until they are."""
    return date(max(holidays).year, 12, 31)


@dataclass(frozen=True, slots=True)
class _Year:
    """A local year's spans in order; `before` = working seconds of the year up to each span's beginning."""

    since: tuple[int, ...]
    before: tuple[int, ...]
    length: tuple[int, ...]
    total: int

    def up_to(self, instant: int) -> int:
        """Return the year's working seconds before `instant`: none before the year, all after it."""
        place = bisect_right(self.since, instant) - 1
        if place < 0:
            return 0
        return self.before[place] + min(instant - self.since[place], self.length[place])

    def reached(self, seconds: int) -> int:
        """Return the instant inside a span by which `seconds` (< total) have been worked this year."""
        place = bisect_right(self.before, seconds) - 1
        return self.since[place] + seconds - self.before[place]


class WorkingCalendar:
    """A service-level version's calendar. Years are laid out when first asked for and kept."""

    def __init__(self, data: CalendarData) -> None:
        self._zone = ZoneInfo(data.timezone)
        self._cn = data.holidays == "cn"
        self._week = {int(weekday): _wall_spans(intervals) for weekday, intervals in data.week.items()}
        self._make_up = _wall_spans(data.make_up)
        self._special = {special.day: _wall_spans(special.intervals) for special in data.special}
        self._years: dict[int, _Year] = {}

    @property
    def known_until(self) -> date:
        """The last day on which this calendar has all it reads; `date.max` where it asks for no public holidays."""
        return holidays_known_until() if self._cn else date.max

    def spans(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """Return the working time of a local day, in UTC and in order."""
        return tuple((_instant(since), _instant(until)) for since, until in self._spans(day))

    def between(self, start: datetime, end: datetime) -> int:
        """Return the working seconds in [start, end); 0 where the end is not after the start."""
        first, last = _seconds(start), _seconds(end)
        if last <= first:
            return 0
        year, last_year = self._year_of(start), self._year_of(end)
        worked = -self._year(year).up_to(first)
        while year < last_year:
            worked += self._year(year).total
            year += 1
        return worked + self._year(year).up_to(last)

    def after(self, start: datetime, seconds: int) -> datetime:
        """Return the first instant, itself inside working time, by which `seconds` were worked since `start`.

        Where they are over as an interval ends, that is the next interval's start. Raises ValueError where `seconds`
        is negative or the instant is not reached in ten years.
        """
        if seconds < 0:
            raise ValueError(f"working time goes forward only: {seconds} seconds")
        first = self._year_of(start)
        left = seconds + self._year(first).up_to(_seconds(start))
        for number in range(first, min(first + SEARCHED_YEARS, _LAST_YEAR) + 1):
            year = self._year(number)
            if left < year.total:
                return _instant(year.reached(left))
            left -= year.total
        raise ValueError(f"{seconds} working seconds after {start.isoformat()} are not over in {SEARCHED_YEARS} years")

    def _year_of(self, at: datetime) -> int:
        return at.astimezone(self._zone).year

    def _year(self, number: int) -> _Year:
        year = self._years.get(number)
        if year is None:
            year = self._years[number] = _year_of_spans(self._spans_of_year(number))
        return year

    def _spans_of_year(self, number: int) -> Iterator[Span]:
        first = date(number, 1, 1)
        for days in range((date(number + 1, 1, 1) - first).days):
            yield from self._spans(first + timedelta(days))

    def _spans(self, day: date) -> list[Span]:
        midnight = (day.toordinal() - _EPOCH) * DAY  # as if the zone were UTC
        wall = self._wall_spans_of(day)
        found = []
        for piece_since, piece_until, offset in self._offsets(midnight) if wall else ():
            for since, until in wall:
                span = (
                    max(midnight + since - offset, piece_since),
                    min(midnight + until - offset, piece_until),
                )
                if span[0] < span[1]:
                    found.append(span)
        return found

    def _wall_spans_of(self, day: date) -> tuple[Span, ...]:
        """Return a day's intervals: special days go before public holidays, and these before the weekday."""
        if day in self._special:
            return self._special[day]
        if self._cn and day in holidays:
            return ()
        if self._cn and day in workdays:
            return self._make_up
        return self._week.get(day.isoweekday(), ())

    def _offsets(self, midnight: int) -> list[tuple[int, int, int]]:
        """Return (since, until, offset from UTC) around a local day: one piece, or two where the offset changes.

        An offset has never changed twice within so few days.
        """
        since, until = midnight - _WIDEST_OFFSET, midnight + DAY + _WIDEST_OFFSET
        before, after = self._offset(since), self._offset(until)
        if before == after:
            return [(since, until, before)]
        low, high = since, until
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == before else (low, middle)
        return [(since, high, before), (high, until, after)]

    def _offset(self, instant: int) -> int:
        offset = datetime.fromtimestamp(instant, self._zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0


def _wall_spans(intervals: list[Interval]) -> tuple[Span, ...]:
    return tuple(sorted(interval.seconds_of_day() for interval in intervals))


def _year_of_spans(spans: Iterator[Span]) -> _Year:
    since, before, length, total = [], [], [], 0
    for begins, ends in spans:
        since.append(begins)
        before.append(total)
        length.append(ends - begins)
        total += ends - begins
    return _Year(tuple(since), tuple(before), tuple(length), total)


def _seconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError(f"an instant carries its offset: {at.isoformat()}")
    return int(at.timestamp())


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
