"""What care takes from the statistics: a unit's complaints of a month, and which topics stand out of their own past.

The figures are those of the statistics, read from the same rows, so that a report or a case never says another number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from services.kernel.database import Connection
from services.tickets.care_commands import RaiseConcentration
from services.tickets.statistics_query import Asked, complaints_by_topic, counts, first_month
from services.tickets.statistics_rules import PAST_MONTHS, concentrations, months_before


async def complaints_of(conn: Connection, units: Collection[str], month: str) -> int:
    """Return how many complaints of these units were opened in a month."""
    asked = Asked(month, month, kind="complaint", units=frozenset(units))
    return sum((await counts(conn, asked, "unit")).values())


async def raised(conn: Connection, now: datetime, zone: ZoneInfo) -> list[RaiseConcentration]:
    """Return the concentrations of this month and of the last, whose end nobody may have been awake to see."""
    this = f"{now.astimezone(zone):%Y-%m}"
    [last] = months_before(this, 1)
    first = await first_month(conn)
    if first is None:
        return []
    counted = await complaints_by_topic(conn, Asked(months_before(last, PAST_MONTHS)[-1], this))
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
        for found in concentrations(counted, month, first)
    ]


def case_id(topic: str, month: str) -> str:
    """Return the id of a topic's case of a month: raised twice it is there once."""
    return f"KC{hashlib.sha256(f'{month}/{topic}'.encode()).hexdigest()[:12]}"
