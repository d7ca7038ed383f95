"""The export: a row per ticket, no cell a formula, nothing of an erased customer."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import asyncpg
import openpyxl
import pytest

from contracts.customers import Content, Sealed
from services.kernel.migrate import migrate
from services.tickets import export
from services.tickets.board_query import Filter, Reach, conditions
from services.tickets.erasing import erase_content
from services.tickets.projections.board import BoardProjection
from services.tickets.projections.statistics import StatisticsProjection
from tests.tickets import given as say
from tests.tickets.stories import VAULT, Story, commits_of, prepare, random_story, rows_of, told

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2027, 1, 1, tzinfo=UTC)
EVERYTHING = Reach(None, None, None)
STORY: Story = {
    "T1": told(
        say.opened(topic="=1+1", content=Sealed(customer="C1", box="=cmd|' /C calc'!A0")), say.reply(say.at("09:30")),
        say.resolve(say.at("11:00"), "bob"), say.satisfied(say.at("11:30"), 4),
    ),
    "T2": told(say.opened(say.at("10:00"), ticket="T2", customer="C2", unit="records",
                          content=Sealed(customer="C2", box="退款, \"急\""))),
}  # fmt: skip


@pytest.fixture
async def conn(database: str) -> AsyncIterator[asyncpg.Connection]:
    await migrate(database, "tickets")
    opened = await asyncpg.connect(database)
    await prepare(opened)
    yield opened
    await opened.close()


async def folded(conn: asyncpg.Connection, story: Story = STORY) -> None:
    commits = await commits_of(conn, story)
    await rows_of(conn, BoardProjection(VAULT), "p_board_1", [commits], ())
    await rows_of(conn, StatisticsProjection(ZONE), "p_statistics_1", [commits], ())
    await conn.execute("SET search_path = p_statistics_1, p_board_1")


async def csv_of(conn: asyncpg.Connection, reach: Reach = EVERYTHING) -> list[dict[str, str]]:
    where = conditions(Filter(), reach, NOW)
    async with conn.transaction():
        written = b"".join([line async for line in export.as_csv(export.rows(conn, where, reach, ZONE))])
    assert written.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline="")))


async def test_a_row_says_what_was_measured_in_local_time(conn) -> None:
    await folded(conn)
    first, second = await csv_of(conn)
    assert first["opened_at"] == "2026-03-02 09:00:00"
    assert (first["first_response_seconds"], first["first_response_kept"]) == (str(30 * say.MINUTE), "yes")
    assert (first["resolved_by"], first["resolution_seconds"], first["satisfaction"]) == ("bob", "7200", "4")
    assert (second["ticket"], second["title"], second["customer_name"]) == ("T2", '退款, "急"', "客户C2")
    assert second["first_response_seconds"] == ""


async def test_no_cell_begins_like_a_formula_in_either_form(conn) -> None:
    await folded(conn)
    [first, _] = await csv_of(conn)
    assert (first["title"], first["topic"]) == ("'=cmd|' /C calc'!A0", "'=1+1")
    where = conditions(Filter(), EVERYTHING, NOW)
    async with conn.transaction():
        path = await export.as_xlsx(export.rows(conn, where, EVERYTHING, ZONE))
    try:
        sheet = openpyxl.load_workbook(path).active
        cells = [cell for row in sheet.iter_rows() for cell in row]
        assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
        table = list(sheet.iter_rows(values_only=True))
        row = dict(zip(table[0], table[1], strict=True))
        assert (row["title"], row["first_response_seconds"]) == ("'=cmd|' /C calc'!A0", 1800)
        assert row["opened_at"] == datetime(2026, 3, 2, 9)
    finally:
        path.unlink()


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1"])
def test_whatever_could_begin_a_formula_is_made_text(text: str) -> None:
    assert export.harmless(text) == f"'{text}"
    assert export.harmless(f"a{text}") == f"a{text}"


async def test_only_tickets_within_reach_and_only_words_that_may_be_read(conn) -> None:
    await folded(conn)
    seen = await csv_of(conn, Reach(None, frozenset({"records"}), None))
    assert [(row["ticket"], row["title"], row["customer_name"]) for row in seen] == [
        ("T1", "", ""),
        ("T2", '退款, "急"', "客户C2"),
    ]
    own = await csv_of(conn, Reach(frozenset({"records"}), frozenset(), None))
    assert [row["ticket"] for row in own] == ["T2"]


async def test_an_erased_customers_ticket_keeps_its_figures_and_loses_its_words(conn) -> None:
    await folded(conn)
    async with conn.transaction():
        await erase_content(conn, "C1")
    first, second = await csv_of(conn)
    assert (first["title"], first["text"], first["customer_name"]) == ("", "", "")
    assert (first["satisfaction"], second["title"]) == ("4", '退款, "急"')


async def test_there_is_one_row_a_ticket_whatever_happened_to_it(conn) -> None:
    story = random_story(31, tickets=40, steps=15)
    await folded(conn, story)
    assert sorted(row["ticket"] for row in await csv_of(conn)) == sorted(story)


def test_a_contents_words_are_what_a_seal_holds() -> None:
    assert set(Content.model_fields) == {"title", "text", "attachments"}, (
        "a new field is to be thought of in the export"
    )
