"""Service levels as versioned data: what is promised, in working time of a stated calendar.

A version is loaded whole. A ticket keeps the version that was in force when it was opened. Seconds are working
seconds: they pass only inside the calendar's intervals.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

TicketKind = Literal["complaint", "records", "technical_support", "internal_cooperation", "needs_analysis", "inquiry"]
"""意见处理, 资料管理, 技术支持, 内部合作, 需求分析 (handbook H-50), and a plain inquiry."""
Priority = Literal["urgent", "high", "normal", "low"]
WaitingOn = Literal["customer", "third_party", "internal"]
ClockKind = Literal["first_response", "next_response", "resolution"]


class LevelModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(LevelModel):
    """Working time of a day, from `since` up to `until` (not included); `until` 00:00 = the end of the day."""

    since: time
    until: time

    @model_validator(mode="after")
    def _forward(self) -> Interval:
        if self.since.tzinfo or self.until.tzinfo:
            raise ValueError("times of a working calendar are local and carry no offset")
        if self.until != time(0) and self.until <= self.since:
            raise ValueError(f"an interval ends after it begins: {self.since} .. {self.until}")
        return self


class SpecialDay(LevelModel):
    """A day that is not what its weekday and the public holidays say. No intervals = closed."""

    day: date
    intervals: list[Interval] = Field(default_factory=list)
    name: str = ""


class CalendarData(LevelModel):
    """Working time. `week`: ISO weekday "1" .. "7" -> intervals (absent = closed).

    `holidays` "cn": Chinese public holidays are closed, and a make-up working day has the intervals of `make_up`.
    Special days go before both.
    """

    timezone: str = "Asia/Shanghai"
    week: dict[Literal["1", "2", "3", "4", "5", "6", "7"], list[Interval]]
    holidays: Literal["cn", "none"] = "cn"
    make_up: list[Interval] = Field(default_factory=list)
    special: list[SpecialDay] = Field(default_factory=list)


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
    """Not touched by its assignee for `seconds` of working time: the ticket goes back to the unit, or the leader hears."""

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


class ServiceLevelsPutInForce(LevelModel):
    event_type: ClassVar[str] = "tickets.service_levels_put_in_force.v1"
    levels: ServiceLevels
    by: str
    at: datetime


LevelEvent = ServiceLevelsPutInForce
