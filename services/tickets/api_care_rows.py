"""Pages of care: rows that a caller reaches, filtered, in a stated order, with plaintext where it may be seen."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.kernel.database import Connection
from services.kernel.errors import Refusal

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """A table and how it is listed. `sort` with `key` is the order; `own`: whose row it is beside its unit's."""

    name: str
    table: str
    key: str
    sort: str
    sort_type: str
    read_sort: Callable[[str], Any]
    own: str | None = None
    descending: bool = False
    of_all: bool = False  # a row without a unit is everybody's
    sealed: bool = False
    renamed: tuple[tuple[str, str], ...] = ()


VISITS = Listing("visit", "visit", "visit", "due", "date", date.fromisoformat, "person", sealed=True)
NEEDS = Listing(
    "need", "need", "need", "collected_at", "timestamptz", datetime.fromisoformat, "handed_to", descending=True,
    sealed=True,
)  # fmt: skip
CASES = Listing(
    "case", "concentration", "case_id", "raised_at", "timestamptz", datetime.fromisoformat, "person", descending=True,
    of_all=True, renamed=(("case_id", "case"), ("control_limit", "limit")),
)  # fmt: skip
REPORTS = Listing("report", "complaint_report", "unit", "month", "text", str, "submitted_by", descending=True)


async def page_of(
    conn: Connection,
    listing: Listing,
    units: Sequence[str] | None,
    me: str | None,
    filters: dict[str, Any],
    limit: int,
    after: tuple[Any, str] | None,
) -> list[Row]:
    """Return one row more than `limit`, where there is one. `units` None = all; `me` sees what is their own."""
    args: list[Any] = []

    def given(value: Any) -> str:
        args.append(value)
        return f"${len(args)}"

    where = []
    if units is not None:
        reached = [f"unit = ANY({given(list(units))}::text[])"]
        if listing.own is not None and me is not None:
            reached.append(f"{listing.own} = {given(me)}")
        if listing.of_all:
            reached.append("unit IS NULL")
        where.append(f"({' OR '.join(reached)})")
    for name, value in filters.items():
        if value is None:
            continue
        column, _, operator = name.partition(" ")
        if operator == "" and isinstance(value, list):
            where.append(f"{column} = ANY({given(value)}::text[])")
        else:
            where.append(f"{column} {operator or '='} {given(value)}")
    if after is not None:
        sign = "<" if listing.descending else ">"
        where.append(
            f"({listing.sort}, {listing.key}) {sign} ({given(after[0])}::{listing.sort_type}, {given(after[1])})"
        )
    order = "DESC" if listing.descending else "ASC"
    rows = await conn.fetch(
        f"SELECT * FROM {listing.table} WHERE {' AND '.join(where) or 'true'}"
        f" ORDER BY {listing.sort} {order}, {listing.key} {order} LIMIT {limit + 1:d}",
        *args,
    )
    return [dict(row) for row in rows]


async def render(
    conn: Connection, listing: Listing, rows: Sequence[Row], shown: frozenset[str] | None, me: str | None
) -> list[Row]:
    """Return the rows as answers, with `content` (part -> what was sealed) where the caller may see it."""
    texts: dict[str, dict[str, Any]] = {}
    if listing.sealed:
        visible = [
            f"{listing.name}:{row[listing.key]}"
            for row in rows
            if shown is None or row["unit"] in shown or (shown and me is not None and row.get("handed_to") == me)
        ]
        found = await conn.fetch(
            "SELECT subject, part, content::text FROM care_plaintext WHERE subject = ANY($1) ORDER BY subject, n",
            visible,
        )
        texts = {subject: {} for subject in visible}
        for text in found:
            texts[text["subject"]][text["part"]] = json.loads(text["content"])
    names = dict(listing.renamed)
    answers = []
    for row in rows:
        answer = {names.get(name, name): value for name, value in row.items()}
        subject = f"{listing.name}:{row[listing.key]}"
        if subject in texts:
            answer["content"] = texts[subject]
        answers.append(answer)
    return answers


def write_cursor(listing: Listing, row: Row) -> str:
    """Return the opaque place after a row."""
    value = row[listing.sort]
    text = value if isinstance(value, str) else value.isoformat()
    return base64.urlsafe_b64encode(json.dumps([text, row[listing.key]]).encode()).decode()


def read_cursor(listing: Listing, cursor: str | None) -> tuple[Any, str] | None:
    """Return the place that a cursor names. Refusal 422 `bad_cursor`."""
    if cursor is None:
        return None
    try:
        text, key = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return listing.read_sort(text), str(key)
    except (ValueError, TypeError, binascii.Error) as error:
        raise Refusal(
            "bad_cursor", "this is no cursor", status=422, field="cursor", remedy="Send `next` as it came."
        ) from error
