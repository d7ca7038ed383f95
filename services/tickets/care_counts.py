"""How many complaints there were, by the month in which they were opened, and which topics stand out of their own past.

A complaint counts for the unit, topic and project that it stands under now; a merged one counts in the other.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from services.kernel.database import Connection
from services.tickets.care_commands import RaiseConcentration
from services.tickets.care_decisions_followed import month_over
from services.tickets.statistics_rules import PAST_MONTHS, concentrations, months_before

_COUNTS = """
SELECT topic, to_char(opened_at AT TIME ZONE $2, 'YYYY-MM') AS month, count(*) AS n FROM care_ticket
WHERE kind = 'complaint' AND NOT merged AND topic IS NOT NULL AND opened_at >= $1 GROUP BY 1, 2
"""


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


async def raised(conn: Connection, now: datetime, zone: ZoneInfo) -> list[RaiseConcentration]:
    """Return the concentrations of this month and of the last, whose end nobody may have been awake to see."""
    this = f"{now.astimezone(zone):%Y-%m}"
    [last] = months_before(this, 1)
    start, _ = month_bounds(months_before(last, PAST_MONTHS)[-1], zone)
    first = await conn.fetchval("SELECT min(opened_at) FROM care_ticket")
    if first is None:
        return []
    rows = await conn.fetch(_COUNTS, start, zone.key)
    counts = {(row["topic"], row["month"]): int(row["n"]) for row in rows}
    return [
        RaiseConcentration(
            case=case_id(found.topic, month),
            topic=found.topic,
            project=None,
            month=month,
            count=found.count,
            expected=str(found.expected),
            limit=found.limit,
            months=found.months,
            unit=None,
            at=now,
        )
        for month in (last, this)
        for found in concentrations(counts, month, f"{first.astimezone(zone):%Y-%m}")
    ]


def case_id(topic: str, month: str) -> str:
    """Return the id of a topic's case of a month: raised twice it is there once."""
    return f"KC{hashlib.sha256(f'{month}/{topic}'.encode()).hexdigest()[:12]}"
