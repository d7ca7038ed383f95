"""Reading over HTTP: the board, search, one ticket, statistics and the export, each as far as a role reaches."""

from __future__ import annotations

import csv
import io
from typing import Any

from tests.tickets.desk import AUDITOR, DIRECTOR, HEAD, MEMBER, STRANGER, Desk, token

RETURNS_LEADER = token("Y042", ("group_leader", "returns"))
AUDITOR_AND_MEMBER = token("Y031", ("auditor", None), ("member", "service-desk"))


async def last(desk: Desk) -> str:
    """The position of what was written last, for `at_least`."""
    return f"tickets:{(await desk.app.state.ledger.heads())['tickets']}"


async def board(desk: Desk, who: str = MEMBER, **asked: Any) -> list[dict[str, Any]]:
    answer = await desk.get("/v1/tickets", who, at_least=await last(desk), **asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["ticket"] for row in rows]


async def test_the_board_is_found_by_what_stands_in_it(desk: Desk) -> None:
    customer = await desk.customer()
    first = await desk.ticket(customer, topic="refund", project="P1")
    second = await desk.ticket(await desk.customer("李四"), kind="inquiry", title="发票", text="请开 invoice 发票")
    await desk.do("PUT", f"/v1/tickets/{second}/assignee", {"person": "Y031"})
    for asked, expected in (
        ({}, [second, first]), ({"customer": customer}, [first]), ({"kind": "inquiry"}, [second]),
        ({"state": "assigned"}, [second]), ({"state": "active", "sort": "opened_at"}, [second, first]),
        ({"assignee": "me"}, [second]), ({"assignee": "none"}, [first]), ({"topic": "refund"}, [first]),
        ({"project": "P1"}, [first]), ({"unit": "service"}, [second, first]), ({"unit": "creative"}, []),
        ({"text": "退款"}, [first]), ({"text": "INVOICE"}, [second]), ({"text": "invoice 退款"}, []),
        ({"text": "李四"}, [second]), ({"text": "voic 发票"}, [second]), ({"overdue": "true"}, []),
    ):  # fmt: skip
        assert sorted(names(await board(desk, **asked))) == sorted(expected), asked
    row = next(row for row in await board(desk) if row["ticket"] == first)
    assert (row["title"], row["customer_name"], row["state"]) == ("退款", "王芳", "open")
    assert [clock["kind"] for clock in row["clocks"]] == ["first_response", "resolution"]


async def test_pages_follow_each_other_without_gap_or_repeat(desk: Desk) -> None:
    customer = await desk.customer()
    opened = [await desk.ticket(customer) for _ in range(7)]
    at_least, seen, cursor = await last(desk), [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = (await desk.get("/v1/tickets", sort="opened_at", limit=3, at_least=at_least, **more)).json()
        seen += names(page["data"])
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7
    assert set(seen) == set(opened)
    assert await desk.refused("GET", "/v1/tickets", cursor="nonsense") == (422, "bad_cursor")


async def test_a_ticket_tells_what_happened_and_names_its_version(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer())
    await desk.do("POST", f"/v1/tickets/{ticket}/replies", {"text": "我们正在查"})
    answer = await desk.get(f"/v1/tickets/{ticket}", at_least=await last(desk))
    found = answer.json()["data"]
    assert answer.headers["ETag"] == '"2"'
    assert [(one["type"], one["content"]["text"]) for one in found["timeline"]] == [
        ("ticket_opened", "还没有收到退款"),
        ("ticket_replied", "我们正在查"),
    ]
    assert [one["data"]["ended"][0]["clock"] for one in found["timeline"][1:]] == ["first_response"]
    assert await desk.refused("GET", "/v1/tickets/T404404") == (404, "ticket_unknown")


async def test_each_unit_sees_its_own_and_the_centre_sees_no_words(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer(), text="秘密的话")
    at = await last(desk)
    assert await board(desk, STRANGER) == []
    assert await desk.refused("GET", f"/v1/tickets/{ticket}", who=STRANGER) == (403, "not_allowed")
    assert names(await board(desk, HEAD)) == [ticket]
    for who in (DIRECTOR, AUDITOR):
        [row] = await board(desk, who)
        assert (row["title"], row["customer_name"]) == (None, None)
        whole = await desk.get(f"/v1/tickets/{ticket}", who, at_least=at)
        assert "秘密" not in whole.text
        assert whole.json()["data"]["timeline"][0]["content"] is None
        assert await desk.refused("GET", "/v1/tickets", who=who, text="秘密") == (403, "not_allowed")
    assert names(await board(desk, AUDITOR_AND_MEMBER, text="秘密")) == [ticket]


async def test_who_sees_more_than_may_be_read_finds_words_only_where_they_may_be_read(desk: Desk) -> None:
    customer = await desk.customer()
    ours = await desk.ticket(customer, text="秘密的话")
    theirs = await desk.ticket(customer, text="秘密的话", unit="returns", who=HEAD)
    assert sorted(names(await board(desk, AUDITOR_AND_MEMBER))) == sorted([ours, theirs])
    assert names(await board(desk, AUDITOR_AND_MEMBER, text="秘密")) == [ours]


async def test_an_erased_customer_is_found_no_more(desk: Desk) -> None:
    customer = await desk.customer("张三丰")
    ticket = await desk.ticket(customer, text="秘密的话")
    assert names(await board(desk, text="张三丰")) == [ticket]
    await desk.do("POST", f"/v1/customers/{customer}/erasure", {}, DIRECTOR)
    assert await board(desk, text="张三丰") == await board(desk, text="秘密") == []
    [row] = await board(desk)
    assert (row["title"], row["customer_name"]) == (None, None)


async def test_a_position_that_does_not_exist_is_refused(desk: Desk) -> None:
    assert await desk.refused("GET", "/v1/tickets", at_least="tickets:999999") == (400, "position_beyond_head")


async def test_statistics_list_the_tickets_behind_them_within_the_callers_units(desk: Desk) -> None:
    customer = await desk.customer()
    ticket = await desk.ticket(customer, topic="refund")
    await desk.ticket(customer, unit="returns", topic="refund", who=HEAD)
    await desk.do("POST", f"/v1/tickets/{ticket}/replies", {"text": "已查"})
    months = {"from": "2020-01", "to": "2099-12"}

    async def asked(path: str, who: str = MEMBER, **more: Any) -> dict[str, Any]:
        answer = await desk.get(f"/v1/statistics{path}", who, at_least=await last(desk), **months, **more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    [own] = (await asked("", by="unit"))["data"]
    assert (own["key"], own["opened"], own["first_response"]["count"]) == ("service-desk", 1, 1)
    assert [row["opened"] for row in (await asked("", DIRECTOR, by="topic"))["data"]] == [2]
    behind = await asked("/tickets", figure="first_response", unit="service-desk")
    assert (behind["total"], names(behind["data"])) == (1, [ticket])
    assert (await asked("/pareto", DIRECTOR))["data"] == [{"key": "refund", "count": 2, "share": 1.0, "cumulated": 1.0}]
    refused = await desk.refused("GET", "/v1/statistics", who=STRANGER, unit="service", **months)
    assert refused == (403, "not_allowed")
    quiet = await desk.get("/v1/statistics/concentrations", month="2026-11")
    assert quiet.json()["data"] == []


async def test_the_export_answers_with_a_file_of_what_its_reader_reaches(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer("=王芳"))
    at = await last(desk)
    answer = await desk.get("/v1/tickets/export", HEAD, at_least=at)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    [row] = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (row["ticket"], row["customer_name"]) == (ticket, "'=王芳")
    book = await desk.get("/v1/tickets/export", DIRECTOR, format="xlsx", at_least=at)
    assert book.content.startswith(b"PK")
    assert (await desk.get("/v1/tickets/export", RETURNS_LEADER, at_least=at)).text.count("\n") == 1
    assert await desk.refused("GET", "/v1/tickets/export") == (403, "not_allowed")
