"""Asking the board: a filter becomes one query, cut to what the caller reaches, in pages that begin after a cursor.

Must not answer with anything that was sealed where the caller's `customers.read` does not reach; a search by text finds
only there, since finding is reading.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from contracts.access import scope_of
from services.kernel.auth import Access
from services.kernel.database import Connection
from services.kernel.errors import Refusal
from services.tickets.reach import Units
from services.tickets.searching import question

Sort = Literal["last_at", "opened_at", "due_at"]
OFTEN = 2000  # texts that hold what is looked for
OPEN = ("open", "assigned", "in_progress", "waiting")
ROW = (
    "ticket, version, state, kind, side, customer, unit, project, channel, topic, priority, assignee, opened_by,"
    " opened_at, last_at, resolved_at, closed_at, reopened, due_at, clocks::text AS clocks"
)
TOPIC = """topic IN (WITH RECURSIVE below AS (SELECT {0}::text AS topic
    UNION SELECT t.topic FROM topic t JOIN below b ON t.parent = b.topic) SELECT topic FROM below)"""
_UNIT = "unit = ANY({0}::text[])"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a caller sees: `units` and own tickets, `content` = units whose sealed content; None = all."""

    units: frozenset[str] | None
    content: frozenset[str] | None
    me: str | None

    def sees(self, unit: str, assignee: str | None) -> bool:
        """Whether a ticket is within reach."""
        return self.units is None or unit in self.units or (assignee is not None and assignee == self.me)

    def reads(self, unit: str) -> bool:
        """Whether what is sealed about a ticket may be shown."""
        return self.content is None or unit in self.content


async def reach_of(units: Units, access: Access) -> Reach:
    """Return how far an access reaches, and how far the same principal's `customers.read` does."""
    seen = None if access.everything else await units.reached(access)
    found = scope_of("customers.read", access.principal.roles)
    if found is None:
        return Reach(seen, frozenset(), access.principal.person)
    content = Access(access.principal, "customers.read", *found)
    return Reach(seen, None if content.everything else await units.reached(content), access.principal.person)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tickets; None or empty = no condition. `units`: with all below. `opened_*`: [since, until)."""

    text: str | None = None
    customer: str | None = None
    state: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    assignee: str | None = None  # "none": nobody's
    units: frozenset[str] | None = None
    topic: str | None = None  # with all below
    project: str | None = None
    channel: str | None = None
    priority: str | None = None
    side: str | None = None
    overdue: bool | None = None
    opened_since: datetime | None = None
    opened_until: datetime | None = None


_WHEN = {
    **{name: f"{name} = {{0}}" for name in ("customer", "project", "channel", "priority", "side")},
    "state": "state = ANY({0}::text[])",
    "kind": "kind = ANY({0}::text[])",
    "units": _UNIT,
    "topic": TOPIC,
    "opened_since": "opened_at >= {0}",
    "opened_until": "opened_at < {0}",
}


class Where:
    """Conditions of a query with their arguments."""

    def __init__(self) -> None:
        self.args: list[Any] = []
        self.conditions: list[str] = ["true"]

    def given(self, value: Any) -> str:
        """Return the placeholder of an argument."""
        self.args.append(value)
        return f"${len(self.args)}"

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition in which {0}, {1}, .. stand for the values."""
        self.conditions.append(condition.format(*(self.given(value) for value in values)))

    def __str__(self) -> str:
        return " AND ".join(self.conditions)


def conditions(asked: Filter, reach: Reach, now: datetime, *, often: bool = False) -> Where:
    """Return the filter within the reach as conditions on the board's table `ticket`. `often`: see `often_said`."""
    where = Where()
    if reach.units is not None:
        where.add("(unit = ANY({0}::text[]) OR assignee = {1})", sorted(reach.units), reach.me)
    for name, condition in _WHEN.items():
        value = getattr(asked, name)
        if value not in (None, ()):
            where.add(condition, sorted(value) if isinstance(value, tuple | frozenset) else value)
    if asked.assignee == "none":
        where.add("assignee IS NULL")
    elif asked.assignee is not None:
        where.add("assignee = {0}", asked.assignee)
    if asked.overdue is not None:
        where.add("due_at < {0}" if asked.overdue else "(due_at IS NULL OR due_at >= {0})", now)
    if asked.text is not None:
        _search(where, asked.text, reach, often)
    return where


def _search(where: Where, text: str, reach: Reach, often: bool) -> None:
    words, parts = question(text)
    if not parts:
        raise Refusal(
            "nothing_to_find", "the text has no letter, digit or character to look for", status=422, field="text",
            remedy="Give a word.",
        )  # fmt: skip
    if reach.content is not None:
        where.add(_UNIT, sorted(reach.content))
    wanted, held = where.given(words), where.given(parts)
    said = (
        f"parts @> {held}::text[] AND (SELECT bool_and(position(w IN folded) > 0) FROM unnest({wanted}::text[]) AS w)"
    )
    if often:
        where.conditions.append(
            f"coalesce((SELECT true FROM plaintext p WHERE p.ticket = ticket.ticket AND {said} LIMIT 1),"
            f" (SELECT true FROM customer_plaintext c WHERE c.customer = ticket.customer AND {said}), false)"
        )
        return
    where.conditions.append(
        f"ticket IN (SELECT ticket FROM plaintext WHERE {said} UNION SELECT t.ticket FROM customer_plaintext c"
        f" JOIN ticket t USING (customer) WHERE {said})"
    )


async def often_said(conn: Connection, text: str | None) -> bool:
    """Whether the planner takes a text for so common that walking tickets in their order meets it soon enough.

    A rare text is looked up in its index, and all of its tickets are sorted; of a common one that is the slower way.
    """
    parts = question(text)[1] if text is not None else []
    if not parts:
        return False
    plan = await conn.fetchval("EXPLAIN (FORMAT JSON) SELECT FROM plaintext WHERE parts @> $1::text[]", parts)
    return bool(json.loads(plan)[0]["Plan"]["Plan Rows"] > OFTEN)


async def page_of(
    conn: Connection, where: Where, sort: Sort, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return (rows, cursor of the next page): newest first, or by `due_at` the soonest first and only what has one."""
    after = _read_cursor(cursor, sort)
    way, than = ("ASC", ">") if sort == "due_at" else ("DESC", "<")
    if sort == "due_at":
        where.add("due_at IS NOT NULL")
    if after is not None:
        where.add(f"({sort}, ticket) {than} ({{0}}::timestamptz, {{1}}::text)", *after)
    rows = await conn.fetch(
        f"SELECT {ROW} FROM ticket WHERE {where} ORDER BY {sort} {way}, ticket {way} LIMIT {where.given(limit + 1)}",
        *where.args,
    )
    page = [dict(row) for row in rows[:limit]]
    return page, _write_cursor(page[-1], sort) if len(rows) > limit else None


async def headings(conn: Connection, rows: Sequence[dict[str, Any]], reach: Reach) -> None:
    """Add `title` and `customer_name` to rows; None where the caller may not read them, or they were erased."""
    shown = [row for row in rows if reach.reads(row["unit"])]
    titles = await _by_key(conn, "SELECT ticket, title FROM plaintext WHERE version = 1 AND ticket = ANY($1)",
                           {row["ticket"] for row in shown})  # fmt: skip
    names = await _by_key(conn, "SELECT customer, name FROM customer_plaintext WHERE customer = ANY($1)",
                          {row["customer"] for row in shown})  # fmt: skip
    for row in rows:
        visible = reach.reads(row["unit"])
        row["title"] = titles.get(row["ticket"]) if visible else None
        row["customer_name"] = names.get(row["customer"]) if visible else None


async def _by_key(conn: Connection, query: str, keys: Iterable[str]) -> dict[str, str | None]:
    wanted = sorted(keys)
    return {row[0]: row[1] for row in await conn.fetch(query, wanted)} if wanted else {}


def _write_cursor(row: dict[str, Any], sort: Sort) -> str:
    place = [sort, row[sort].isoformat(), row["ticket"]]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read_cursor(cursor: str | None, sort: Sort) -> tuple[datetime, str] | None:
    """Return the place after which the page begins. Refusal 422 `bad_cursor`."""
    if cursor is None:
        return None
    try:
        order, moment, ticket = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if order == sort and "\0" not in ticket:
            return datetime.fromisoformat(moment), ticket
    except (ValueError, TypeError):
        pass
    raise Refusal(
        "bad_cursor", "this is no cursor of this list in this order", status=422, field="cursor",
        remedy="Send `next` as it came, with the same sort.",
    )  # fmt: skip
