"""Service levels as versioned data: what is promised, in working time of a stated calendar.

A version is loaded whole. A ticket keeps the version that was in force when it was opened. Seconds are working
seconds: they pass only inside the calendar's intervals.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import pairwise, product
from typing import ClassVar, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

TicketKind = Literal["complaint", "records", "technical_support", "internal_cooperation", "needs_analysis", "inquiry"]
"""意见处理, 资料管理, 技术支持, 内部合作, 需求分析 (handbook H-50), and a plain inquiry."""
Priority = Literal["urgent", "high", "normal", "low"]
WaitingOn = Literal["customer", "third_party", "internal"]
ClockKind = Literal["first_response", "next_response", "resolution"]
_DAY = 86_400
_LONGEST = 52  # weeks of working time that a duration may be: a longer one is a slip, and might never be reached


class LevelModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(LevelModel):
    """Working time of a day, from `since` up to `until` (not included); `until` 00:00 = the end of the day.

    A shift over midnight is two intervals: up to 00:00, and from 00:00 on the next day.
    """

    since: time
    until: time

    @model_validator(mode="after")
    def _forward(self) -> Interval:
        if self.since.tzinfo or self.until.tzinfo:
            raise ValueError("times of a working calendar are local and carry no offset")
        if self.since.microsecond or self.until.microsecond:
            raise ValueError("times of a working calendar are whole seconds")
        if self.until != time(0) and self.until <= self.since:
            raise ValueError(
                f"an interval ends after it begins: {self.since} .. {self.until}; one over midnight is two, up to"
                " 00:00 and from 00:00"
            )
        return self

    def seconds_of_day(self) -> tuple[int, int]:
        """Return (since, until) in seconds of the wall clock's day; the end of the day is 86400."""
        return _seconds(self.since), _seconds(self.until) or _DAY


def _seconds(wall: time) -> int:
    return wall.hour * 3600 + wall.minute * 60 + wall.second


def _apart(intervals: list[Interval]) -> list[Interval]:
    """A day's intervals may touch; one that lies in another is a slip of the pen."""
    ordered = sorted(intervals, key=Interval.seconds_of_day)
    for former, latter in pairwise(ordered):
        if latter.seconds_of_day()[0] < former.seconds_of_day()[1]:
            raise ValueError(
                f"intervals of a day overlap: {former.since} .. {former.until} and {latter.since} .. {latter.until}"
            )
    return intervals


class SpecialDay(LevelModel):
    """A day that is not what its weekday and the public holidays say. No intervals = closed."""

    day: date
    intervals: list[Interval] = Field(default_factory=list)
    name: str = ""

    _intervals_apart = field_validator("intervals")(_apart)


class CalendarData(LevelModel):
    """Working time. `week`: ISO weekday "1" .. "7" -> intervals (absent = closed).

    `holidays` "cn": Chinese public holidays are closed, and a make-up working day has the intervals of `make_up`
    (none = closed). Special days go before both.
    """

    timezone: str = "Asia/Shanghai"
    week: dict[Literal["1", "2", "3", "4", "5", "6", "7"], list[Interval]]
    holidays: Literal["cn", "none"] = "cn"
    make_up: list[Interval] = Field(default_factory=list)
    special: list[SpecialDay] = Field(default_factory=list)

    _make_up_apart = field_validator("make_up")(_apart)

    @field_validator("timezone")
    @classmethod
    def _known(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError) as unknown:  # not there, not a name, a folder
            raise ValueError(f'unknown timezone {timezone!r}; write one like "Asia/Shanghai"') from unknown
        return timezone

    @field_validator("week")
    @classmethod
    def _days_apart(cls, week: dict[str, list[Interval]]) -> dict[str, list[Interval]]:
        for intervals in week.values():
            _apart(intervals)
        return week

    @field_validator("special")
    @classmethod
    def _each_day_once(cls, special: list[SpecialDay]) -> list[SpecialDay]:
        days = sorted(each.day for each in special)
        for former, latter in pairwise(days):
            if former == latter:
                raise ValueError(f"{latter.isoformat()} is a special day twice")
        return special

    def weekly_seconds(self) -> int:
        """Return the working seconds of a week without holidays and special days."""
        spans = (interval.seconds_of_day() for intervals in self.week.values() for interval in intervals)
        return sum(until - since for since, until in spans)


class Targets(LevelModel):
    """Working seconds allowed; None = no promise (the time is measured all the same)."""

    first_response: int | None = Field(default=None, ge=1)
    next_response: int | None = Field(default=None, ge=1)
    resolution: int | None = Field(default=None, ge=1)


class LevelRule(LevelModel):
    """Targets for these kinds and priorities; an empty list = all. The first rule that fits is taken."""

    kinds: list[TicketKind] = Field(default_factory=list)
    priorities: list[Priority] = Field(default_factory=list)
    targets: Targets


class Ownership(LevelModel):
    """Not touched by its assignee for `seconds` of working time: back to the unit with it, or the leader hears."""

    seconds: int = Field(ge=1)
    action: Literal["unassign", "tell_leader"] = "tell_leader"


def _the_customer() -> list[WaitingOn]:
    return ["customer"]


class ServiceLevels(LevelModel):
    title: str = Field(max_length=200)
    version: int = Field(ge=1)
    effective: datetime  # tickets opened from then on
    calendar: CalendarData
    rules: list[LevelRule]
    pause_on: list[WaitingOn] = Field(default_factory=_the_customer)  # waiting for whom stops the clocks
    warn_percent: int = Field(default=80, ge=1, le=99)  # of a target used up: the warning before a breach
    ownership: Ownership | None = None
    close_after: int | None = Field(default=None, ge=1)  # working seconds from resolved to closed by itself

    @model_validator(mode="after")
    def _every_promise_can_fall_due(self) -> ServiceLevels:
        week = self.calendar.weekly_seconds()
        if not week:
            raise ValueError("in the calendar's week nobody ever works: no clock would go")
        for name, seconds in self._durations():
            if seconds > _LONGEST * week:
                raise ValueError(
                    f"{name}: {seconds} working seconds are over {_LONGEST} weeks of this calendar ({week} s each)"
                )
        return self

    @model_validator(mode="after")
    def _every_rule_is_taken_sometime(self) -> ServiceLevels:
        left = set(product(get_args(TicketKind), get_args(Priority)))
        for number, rule in enumerate(self.rules, start=1):
            fits = set(product(rule.kinds or get_args(TicketKind), rule.priorities or get_args(Priority)))
            if not fits & left:
                raise ValueError(f"rule {number} is never taken: the rules before it fit all that it fits")
            left -= fits
        return self

    def _durations(self) -> Iterator[tuple[str, int]]:
        for number, rule in enumerate(self.rules, start=1):
            for clock, seconds in rule.targets:
                if seconds is not None:
                    yield f"rule {number}, {clock}", seconds
        if self.ownership is not None:
            yield "ownership", self.ownership.seconds
        if self.close_after is not None:
            yield "close_after", self.close_after


class ServiceLevelsPutInForce(LevelModel):
    event_type: ClassVar[str] = "tickets.service_levels_put_in_force.v1"
    levels: ServiceLevels
    by: str
    at: datetime


LevelEvent = ServiceLevelsPutInForce
