"""How many complaints there were: counted from the read model of care, by the month in which they were opened.

A complaint counts for the unit, topic and project that it stands under now; a merged one counts in the other.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from services.kernel.database import Connection
from services.tickets.care_decisions_followed import month_over


def month_bounds(month: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return a month's first instant and the one after its last. Refusal `bad_month`."""
    over = month_over(month)
    first = date(int(month[:4]), int(month[5:]), 1)
    start, end = (datetime.combine(day, time(0), zone).astimezone(UTC) for day in (first, over))
    return start, end


async def complaints_of(conn: Connection, unit: str, month: str, zone: ZoneInfo) -> int:
    """Return a unit's complaints of a month. Refusal `bad_month`."""
    start, end = month_bounds(month, zone)
    count = await conn.fetchval(
        "SELECT count(*) FROM care_ticket WHERE kind = 'complaint' AND NOT merged AND unit = $1"
        " AND opened_at >= $2 AND opened_at < $3",
        unit, start, end,
    )  # fmt: skip
    return int(count)
