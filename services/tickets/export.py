"""Tickets as CSV or XLSX, a row each. What a spreadsheet would take for a formula is made text.

What is sealed stands in the title, text and customer's name only: empty where the caller may not read it, or where it
was erased. Source of the guarded characters: OWASP, CSV Injection.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from zoneinfo import ZoneInfo

import xlsxwriter

from services.kernel.database import Connection
from services.tickets.board_query import Reach, Where

Cell = str | int | datetime | None

AT_ONCE = 1000  # rows read together
LONGEST = 32_000  # characters of a cell: spreadsheets hold 32,767
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # some take the wide ones
COLUMNS = (
    "ticket", "state", "kind", "side", "unit", "project", "topic", "channel", "priority", "assignee", "opened_at",
    "first_response_at", "first_response_by", "first_response_seconds", "first_response_kept", "resolved_at",
    "resolved_by", "resolution_seconds", "resolution_kept", "outcome", "satisfaction", "reopened", "closed_at",
    "customer", "customer_name", "title", "text",
)  # fmt: skip
_ROWS = """
SELECT t.*, f.at AS first_response_at, f.person AS first_response_by, f.used AS first_response_seconds,
    f.met AS first_response_kept, r.person AS resolved_by, a.used AS resolution_seconds, a.met AS resolution_kept,
    r.outcome, r.score AS satisfaction, c.name AS customer_name, p.title, left(p.text, {longest}) AS text
FROM (SELECT * FROM ticket WHERE {where}) t
LEFT JOIN answered f ON f.ticket = t.ticket AND f.clock = 'first_response'
LEFT JOIN LATERAL (SELECT * FROM resolution r WHERE r.ticket = t.ticket ORDER BY r.resolution DESC LIMIT 1) r ON true
LEFT JOIN answered a ON a.ticket = t.ticket AND a.version = r.version AND a.clock = 'resolution'
LEFT JOIN plaintext p ON p.ticket = t.ticket AND p.version = 1 AND {visible}
LEFT JOIN customer_plaintext c ON c.customer = t.customer AND {visible}
ORDER BY t.opened_at, t.ticket
"""


async def rows(conn: Connection, where: Where, reach: Reach, zone: ZoneInfo) -> AsyncIterator[list[Cell]]:
    """Yield a row per ticket in the order of opening, local times; needs the board and the statistics in the path."""
    conditions = str(where)
    visible = "true" if reach.content is None else f"t.unit = ANY({where.given(sorted(reach.content))}::text[])"
    query = _ROWS.format(where=conditions, visible=visible, longest=LONGEST)
    async for row in conn.cursor(query, *where.args, prefetch=AT_ONCE):
        yield [_cell(row[name], zone) for name in COLUMNS]


def _cell(value: Any, zone: ZoneInfo) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(zone).replace(tzinfo=None)
    return harmless(value) if isinstance(value, str) else value


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


async def as_csv(source: AsyncIterator[list[Cell]]) -> AsyncIterator[bytes]:
    """Yield the rows as CSV (RFC 4180), UTF-8 with the mark that spreadsheets need to read Chinese."""
    yield b"\xef\xbb\xbf" + _line(COLUMNS)
    async for row in source:
        yield _line(row)


def _line(row: Sequence[Cell]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(row)
    return text.getvalue().encode()


async def as_xlsx(source: AsyncIterator[list[Cell]]) -> Path:
    """Write the rows as XLSX into a temporary file, which the caller deletes. No cell is ever a formula or a link."""
    with NamedTemporaryFile(suffix=".xlsx", delete=False) as place:
        path = Path(place.name)
    try:
        await _write_book(path, source)
    except BaseException:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        raise
    return path


async def _write_book(path: Path, source: AsyncIterator[list[Cell]]) -> None:
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_urls": False})
    day = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    sheet = book.add_worksheet("tickets")
    sheet.write_row(0, 0, COLUMNS)
    number = 0
    async for row in source:
        number += 1
        for column, cell in enumerate(row):
            _write(sheet, number, column, cell, day)
    await asyncio.to_thread(book.close)


def _write(sheet: Any, row: int, column: int, cell: Cell, day: Any) -> None:
    if isinstance(cell, str):
        sheet.write_string(row, column, cell)
    elif isinstance(cell, datetime):
        sheet.write_datetime(row, column, cell, day)
    elif cell is not None:
        sheet.write_number(row, column, cell)
