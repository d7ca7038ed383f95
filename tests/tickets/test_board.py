"""The board's rows: the same however the commits come, and what the decisions themselves would say of each ticket."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts.customers import CustomerErased
from services.kernel.migrate import migrate
from services.tickets import clocks
from services.tickets.board_query import Filter, Reach, conditions, often_said, page_of
from services.tickets.erasing import erase_content
from services.tickets.evolve import fold
from services.tickets.projections.board import TICKETS, BoardProjection
from services.tickets.searching import folded, parts, question
from tests.tickets import given as say
from tests.tickets.stories import AT, UNDER, VAULT, commit_of, commits_of, prepare, random_story, rows_of, told

TABLES = ("ticket", "timeline", "plaintext", "customer_plaintext", "levels")


@pytest.fixture
async def conn(database: str) -> AsyncIterator[asyncpg.Connection]:
    await migrate(database, "tickets")
    opened = await asyncpg.connect(database)
    await prepare(opened)
    yield opened
    await opened.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_rebuild_equals_what_was_folded_as_it_came_and_twice_is_once(
    conn: asyncpg.Connection, seed: int
) -> None:
    commits = await commits_of(conn, random_story(seed), seed)
    whole = await rows_of(conn, BoardProjection(VAULT), "whole", [commits], TABLES)
    projection = BoardProjection(VAULT)
    assert await rows_of(conn, projection, "single", [[one] for one in commits], TABLES) == whole
    assert await rows_of(conn, projection, "twice", [commits[:9], commits[5:], commits], TABLES) == whole
    assert len(whole["ticket"]) == 12
    assert len(whole["plaintext"]) > 12


@pytest.mark.parametrize("seed", range(3, 6))
async def test_a_row_says_what_the_decisions_know(conn: asyncpg.Connection, seed: int) -> None:
    story = random_story(seed, tickets=20)
    await rows_of(conn, BoardProjection(VAULT), "board", [await commits_of(conn, story, seed)], ())
    for ticket, events in story.items():
        row = await conn.fetchrow("SELECT * FROM ticket WHERE ticket = $1", ticket)
        state = fold(events, UNDER)
        assert state is not None
        assert TICKETS.validate_json(row["document"]) == state
        assert (row["state"], row["assignee"], row["unit"]) == (state.state, state.assignee, state.unit)
        assert row["version"] == len(events)
        dues = [clocks.breach_at(clock, UNDER.calendar) for clock in state.clocks if state.is_open]
        shown = [clock["due_at"] for clock in json.loads(row["clocks"]) if not clock["breached"]]
        assert [due.isoformat() for due in dues if due] == [due for due in shown if due]


async def test_a_broken_promise_stays_due_at_the_instant_it_was_broken(conn: asyncpg.Connection) -> None:
    story = {"T1": told(say.opened(), say.time_passes(say.at("17:00")))}
    await rows_of(conn, BoardProjection(VAULT), "board", [await commits_of(conn, story)], ())
    row = await conn.fetchrow("SELECT * FROM ticket")
    assert row["due_at"] == say.at("10:00")
    assert [(c["kind"], c["breached"]) for c in json.loads(row["clocks"])] == [
        ("first_response", True),
        ("resolution", False),
    ]


async def test_an_erased_customer_is_nowhere_to_be_read_and_a_rebuild_finds_nothing(conn: asyncpg.Connection) -> None:
    commits = await commits_of(conn, random_story(1))
    await rows_of(conn, BoardProjection(VAULT), "p_board_1", [commits], ())
    async with conn.transaction():
        await erase_content(conn, "C1")
    left = {name: await conn.fetch(f"SELECT * FROM {name}") for name in ("plaintext", "customer_plaintext")}
    assert {row["customer"] for rows in left.values() for row in rows} == {"C2", "C3"}
    erased = CustomerErased(customer="C1", cause="asked_by_customer", by="boss", at=AT)
    again = [*commits, commit_of(len(commits) + 1, (erased, "customer:C1", 2))]
    rebuilt = await rows_of(conn, BoardProjection(VAULT), "p_board_2", [again], ("plaintext", "customer_plaintext"))
    assert rebuilt == {name: sorted(map(tuple, rows), key=repr) for name, rows in left.items()}


def test_chinese_is_found_by_any_part_and_latin_from_three_letters_on() -> None:
    text = folded("ＲＥＦＵＮＤ Not received", "还没有收到退款，订单A-1042")
    found = set(parts(text))
    for words in (
        "退款",
        "收到退",
        "款",
        "refund",
        "fun",
        "receiv",
        "1042",
        "没有 refund",
        "还没有收到退款，订单a-1042",
    ):
        asked, wanted = question(words)
        assert set(wanted) <= found, words
        assert all(word in text for word in asked)
    assert not set(question("发票")[1]) <= found
    assert question("  ") == ([], [])


def test_every_piece_of_a_text_leads_to_it() -> None:
    chance = random.Random(5)
    for _ in range(300):
        text = folded("".join(chance.choice("退款订单abc 12，é") for _ in range(30)))
        start = chance.randrange(len(text))
        piece = text[start : start + chance.randint(3, 8)]
        wanted = [part for part in question(piece)[1] if len(part) > 2 or part >= "\u2e80"]
        assert set(wanted) <= set(parts(text)), (text, piece)


async def test_a_common_text_and_a_rare_one_are_found_alike_by_either_way(conn: asyncpg.Connection) -> None:
    await rows_of(conn, BoardProjection(VAULT), "board", [await commits_of(conn, random_story(8, tickets=30))], ())
    everybody = Reach(None, None, None)
    for text in ("opening", "solution", "客户C2", "why 说的话", "没有"):
        ways = [conditions(Filter(text), everybody, AT, often=often) for often in (True, False)]
        (walked, _), (looked_up, _) = [await page_of(conn, where, "last_at", 100, None) for where in ways]
        assert walked == looked_up
        assert bool(walked) == (text != "没有")
    assert not await often_said(conn, "opening")
