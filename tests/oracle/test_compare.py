"""The comparison finds every kind of difference, over a stand-in for the attainments API."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import httpx

from tests.oracle.compare import DoneDue, compare
from tests.oracle.figures import Key, expected
from tests.oracle.small import OCTOBER, account, event, organisation, sent

WANTED = {
    **expected(organisation(account("blog", "a+b 1%", "A")), sent(event("seo.task", "D")), OCTOBER),
    **expected(organisation(), sent(event("blog.exchange_comment", "A", counterpart="B")), "2026-W41"),
}


def row(key: Key, value: DoneDue) -> dict[str, Any]:
    done, due = value
    shown = dict(zip(("quota", "scope", "id", "period"), key, strict=True))
    return {**shown, "done": str(done), "due": str(due), "ratio": str(done / due) if due else None, "status": "behind"}


def client(rows: list[dict[str, Any]]) -> httpx.AsyncClient:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/attainments"
        asked = dict(request.url.params)
        return httpx.Response(
            200, json={"data": [r for r in rows if {**r, **asked} == r], "positions": "", "as_of": ""}
        )

    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://kpi")


async def differences(change: Callable[[list[dict[str, Any]]], object], **options: Any) -> list[str]:
    rows = [row(key, value) for key, value in WANTED.items()]
    change(rows)
    async with client(rows) as kpi:
        return [str(difference) for difference in await compare(kpi, WANTED, **options)]


async def test_equal_systems_have_no_differences() -> None:
    assert await differences(lambda rows: None) == []


async def test_a_wrong_a_missing_and_an_unexpected_figure_are_each_reported() -> None:
    def spoil(rows: list[dict[str, Any]]) -> None:
        by_key = {(r["quota"], r["scope"], r["id"]): r for r in rows}
        by_key["H-23", "person", "D"]["done"] = "2"
        rows.remove(by_key["H-32d", "pair", "A+B"])
        rows.append(row(("H-24", "person", "D", OCTOBER), (Fraction(1), Fraction(0))))
        by_key["H-26b", "person", "A"]["ratio"] = "1/2"

    assert await differences(spoil) == [
        "H-32d pair A+B 2026-W41: expected 1 of 30, found no row",
        "H-26b person A 2026-10: expected ratio 0, found ratio 1/2",
        "H-23 person D 2026-10: expected 1 of 0, found 2 of 0",
        "H-24 person D 2026-10: expected no row, found 1 of 0",
    ]


async def test_empty_rows_of_units_may_be_left_out() -> None:
    def leave_out(rows: list[dict[str, Any]]) -> None:
        rows[:] = [r for r in rows if (r["scope"], r["done"], r["due"]) != ("unit", "0", "0")]

    assert await differences(leave_out) == []


async def test_further_subjects_must_show_nothing() -> None:
    late = row(("H-23", "person", "X", OCTOBER), (Fraction(1), Fraction(0)))
    assert await differences(lambda rows: rows.append(late)) == []
    assert len(await differences(lambda rows: rows.append(late), also=[("person", "X", OCTOBER)])) == 1


async def test_statuses_are_compared_where_given() -> None:
    found = await differences(lambda rows: None, statuses={("H-26b", "person", "A", OCTOBER): "at_risk"})
    assert found == ["H-26b person A 2026-10: expected status at_risk, found status behind"]
