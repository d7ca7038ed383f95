"""Local days and periods.

"The day is the local day in the centre's zone; sub-seconds are cut, not rounded. Weeks are ISO weeks, never split by
month or year."
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

PeriodKind = Literal["day", "week", "month"]
CENTRE_ZONE = "Asia/Shanghai"

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def instant_of(text: object) -> tuple[datetime, str] | None:
    """Return the UTC instant, whole seconds, and the digits of its fraction; None where it is no RFC 3339 time."""
    found = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    day, clock, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in 'Zz' else offset}")
        return moment.astimezone(UTC), (fraction or "").lstrip(".").rstrip("0")
    except (ValueError, OverflowError):
        return None


def local_day(moment: datetime, zone: str = CENTRE_ZONE) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def period_kind(period: str) -> PeriodKind:
    """ "2026-10" is a month, "2026-W43" an ISO week, "2026-10-17" a day."""
    if "W" in period:
        return "week"
    return "month" if len(period) == 7 else "day"


def days_of(period: str) -> list[date]:
    kind = period_kind(period)
    if kind == "day":
        return [date.fromisoformat(period)]
    if kind == "week":
        year, week = period.split("-W")
        return [date.fromisocalendar(int(year), int(week), weekday) for weekday in range(1, 8)]
    first = date.fromisoformat(f"{period}-01")
    return [day for day in (first + timedelta(days=n) for n in range(31)) if day.month == first.month]


def month_of(day: date) -> str:
    return f"{day:%Y-%m}"


def week_of(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year:04d}-W{week:02d}"


def periods_touching(days: list[date]) -> list[str]:
    """Every month, week and day that one of these days lies in."""
    touched = {month_of(day) for day in days} | {week_of(day) for day in days} | {day.isoformat() for day in days}
    return sorted(touched)
