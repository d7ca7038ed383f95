"""Figures of the statistics and the tickets behind each: one set of conditions for both, so that they cannot differ.

Percentiles are nearest-rank (the smallest measured value that at least the share does not exceed), in working seconds.
Figures of a month are as they are known now: a verdict or a reopening counts for the month of its resolution.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from services.kernel.database import Connection
from services.kernel.errors import Refusal
from services.tickets.board_query import TOPIC, Where

Figure = Literal[
    "opened", "first_response", "next_response", "resolution", "missed", "resolutions", "reopened", "satisfaction"
]
Grouping = Literal["month", "project", "topic", "kind", "unit", "person"]
GROUPINGS: tuple[Grouping, ...] = ("month", "project", "topic", "kind", "unit", "person")

TABLES: dict[Figure, tuple[str, str]] = {  # figure -> (table, which of its rows are behind it)
    "opened": ("opening", "NOT merged"),
    "first_response": ("answered", "clock = 'first_response'"),
    "next_response": ("answered", "clock = 'next_response'"),
    "resolution": ("answered", "clock = 'resolution'"),
    "missed": ("answered", "NOT met"),
    "resolutions": ("resolution", "true"),
    "reopened": ("resolution", "reopened"),
    "satisfaction": ("resolution", "score IS NOT NULL"),
}
_EXTRA = {
    "opening": "NULL::text AS person, side, channel, priority",
    "answered": "person, clock, used, target, met",
    "resolution": "person, resolution, outcome, score, reopened",
}
_ANSWERED = """
SELECT {group} AS key, clock, count(*) AS count, count(*) FILTER (WHERE met) AS met,
    count(*) FILTER (WHERE met IS NOT NULL) AS judged,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY used) AS median,
    percentile_disc(0.9) WITHIN GROUP (ORDER BY used) AS p90
FROM answered WHERE {where} GROUP BY 1, 2
"""
_RESOLVED = """
SELECT {group} AS key, count(*) AS count, count(*) FILTER (WHERE reopened) AS reopened, count(score) AS scored,
    sum(score) AS score FROM resolution WHERE {where} GROUP BY 1
"""
_OPENED = "SELECT {group} AS key, count(*) AS count FROM opening WHERE {where} GROUP BY 1"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows: months from `since` to `until`, both included; None = no condition; "none" = without one."""

    since: str
    until: str
    project: str | None = None
    topic: str | None = None  # with all below
    kind: str | None = None
    unit: str | None = None  # that very unit: what stands in a row of the grouping by unit
    units: frozenset[str] | None = None  # within these: what the caller reaches, or a unit with all below
    person: str | None = None
    only_topic: bool = False  # the very topic, as it stands in a row of the grouping by topic


def conditions(asked: Asked, *, persons: bool) -> Where:
    """Return the conditions on one of the tables; `persons`: whether its rows are somebody's."""
    where = Where()
    where.add("month >= {0} AND month <= {1}", asked.since, asked.until)
    for name in ("project", "kind", "unit"):
        _equal(where, name, getattr(asked, name))
    if asked.topic is not None:
        if asked.only_topic or asked.topic == "none":
            _equal(where, "topic", asked.topic)
        else:
            where.add(TOPIC, asked.topic)
    if asked.units is not None:
        where.add("unit = ANY({0}::text[])", sorted(asked.units))
    if asked.person is not None:
        if persons:
            where.add("person = {0}", asked.person)
        else:
            where.conditions.append("false")  # an opening is nobody's
    return where


def _equal(where: Where, column: str, value: str | None) -> None:
    if value == "none":
        where.add(f"{column} IS NULL")
    elif value is not None:
        where.add(f"{column} = {{0}}", value)


async def figures(conn: Connection, asked: Asked, by: Grouping) -> list[dict[str, Any]]:
    """Return one row a group, in the order of its keys; the group without a key last."""
    rows: dict[str | None, dict[str, Any]] = {}
    opened = conditions(asked, persons=False)
    others = conditions(asked, persons=True)
    if by != "person":
        for row in await _grouped(conn, _OPENED, by, opened, " AND NOT merged"):
            _row(rows, row["key"])["opened"] = row["count"]
    for row in await _grouped(conn, _ANSWERED, by, others):
        _row(rows, row["key"])[row["clock"]] = _measured(row)
    for row in await _grouped(conn, _RESOLVED, by, others):
        _row(rows, row["key"]).update(
            resolutions=row["count"],
            reopened=row["reopened"],
            reopen_rate=_share(row["reopened"], row["count"]),
            satisfaction={"count": row["scored"], "mean": _share(row["score"] or 0, row["scored"])},
        )
    if by == "person":
        for found in rows.values():
            found["opened"] = None
    return [rows[key] for key in sorted(rows, key=lambda key: (key is None, key or ""))]


async def _grouped(conn: Connection, query: str, by: Grouping, where: Where, more: str = "") -> list[Any]:
    return list(await conn.fetch(query.format(group=by, where=f"{where}{more}"), *where.args))


def _row(rows: dict[str | None, dict[str, Any]], key: str | None) -> dict[str, Any]:
    nothing = {"count": 0, "median": None, "p90": None, "judged": 0, "met": 0, "attainment": None}
    return rows.setdefault(
        key,
        {
            "key": key, "opened": 0, "first_response": nothing, "next_response": nothing, "resolution": nothing,
            "resolutions": 0, "reopened": 0, "reopen_rate": None, "satisfaction": {"count": 0, "mean": None},
        },
    )  # fmt: skip


def _measured(row: Any) -> dict[str, Any]:
    counted = {name: row[name] for name in ("count", "median", "p90", "judged", "met")}
    return {**counted, "attainment": _share(row["met"], row["judged"])}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


async def counts(conn: Connection, asked: Asked, by: Grouping) -> dict[str | None, int]:
    """Return how many were opened, by one thing."""
    rows = await _grouped(conn, _OPENED, by, conditions(asked, persons=False), " AND NOT merged")
    return {row["key"]: row["count"] for row in rows}


async def behind(
    conn: Connection, asked: Asked, figure: Figure, limit: int, cursor: str | None
) -> tuple[int, list[dict[str, Any]], str | None]:
    """Return (how many, a page of the rows behind a figure in the order of their instants, cursor of the next)."""
    table, which = TABLES[figure]
    where = conditions(asked, persons=table != "opening")
    where.conditions.append(which)
    total = await conn.fetchval(f"SELECT count(*) FROM {table} WHERE {where}", *where.args)
    version = "version" if table != "resolution" else "resolution"
    if cursor is not None:
        place = "(at, ticket, {v}) > ({{0}}::timestamptz, {{1}}::text, {{2}}::integer)"
        where.add(place.format(v=version), *_read_cursor(cursor))
    rows = await conn.fetch(
        f"SELECT ticket, {version} AS place, at, month, unit, kind, topic, project, {_EXTRA[table]} FROM {table}"
        f" WHERE {where} ORDER BY at, ticket, {version} LIMIT {where.given(limit + 1)}",
        *where.args,
    )
    page = [dict(row) for row in rows[:limit]]
    more = _write_cursor(page[-1]) if len(rows) > limit else None
    for row in page:
        del row["place"]
    return total, page, more


def _write_cursor(row: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([row["at"].isoformat(), row["ticket"], row["place"]]).encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str, int]:
    try:
        at, ticket, place = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if isinstance(place, int) and "\0" not in ticket:
            return datetime.fromisoformat(at), ticket, place
    except (ValueError, TypeError):
        pass
    raise Refusal("bad_cursor", "this is no cursor", status=422, field="cursor", remedy="Send `next` as it came.")


async def complaints_by_topic(conn: Connection, asked: Asked) -> dict[tuple[str, str], int]:
    """Return (topic, month) -> complaints opened; those without a topic are left out."""
    where = conditions(replace(asked, kind="complaint"), persons=False)
    rows = await conn.fetch(
        f"SELECT topic, month, count(*) AS count FROM opening WHERE {where} AND NOT merged AND topic IS NOT NULL"
        " GROUP BY 1, 2",
        *where.args,
    )
    return {(row["topic"], row["month"]): row["count"] for row in rows}


async def first_month(conn: Connection) -> str | None:
    """Return the month of the first ticket of all; None: there is none."""
    month: str | None = await conn.fetchval("SELECT min(month) FROM opening")
    return month
