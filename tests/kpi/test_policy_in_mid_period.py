"""A policy version that begins in the middle of a period: which one a figure is assessed under, and that it is said."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest

from contracts.kpi import Policy
from services.kpi.facts import parse_period
from services.kpi.policies import PolicyVersion, first_period, for_period, waiting_in
from tests.eventually import eventually
from tests.kpi.given import World, token

DIRECTOR = token("9", ("director", None))


def version(number: int, effective: date) -> PolicyVersion:
    return PolicyVersion(Policy(title="t", version=number, effective=effective, quotas=[]), ())


FIRST, SECOND, THIRD = (
    version(1, date(2026, 1, 1)), version(2, date(2026, 10, 15)), version(3, date(2026, 10, 20)),
)  # fmt: skip

LAST = version(4, date.max)


@pytest.mark.parametrize(
    ("period", "assessed", "waiting"),
    [
        ("2025-12", None, None),
        ("2026-W01", 1, None),  # begins on 29 December, when none was in force
        ("2026-09", 1, None),
        ("2026-10", 1, 3),
        ("2026-11", 3, None),
        ("2026-W42", 1, 2),
        ("2026-W43", 2, 3),
        ("2026-W44", 3, None),
        ("2026-10-14", 1, None),
        ("2026-10-15", 2, None),
        ("2026-10-20", 3, None),
    ],
)
def test_a_period_is_assessed_under_the_version_of_its_first_day(
    period: str, assessed: int | None, waiting: int | None
) -> None:
    versions, asked = (FIRST, SECOND, THIRD), parse_period(period)
    found, later = for_period(versions, asked), waiting_in(versions, asked)
    assert (found and found.version, later and later.version) == (assessed, waiting)


def test_a_version_names_the_first_periods_that_it_applies_to() -> None:
    def firsts(one: PolicyVersion) -> list[str | None]:
        found = [first_period((FIRST, SECOND, THIRD), one, kind) for kind in ("day", "week", "month")]
        return [period and period.text for period in found]

    assert firsts(FIRST) == ["2026-01-01", "2026-W01", "2026-01"]
    assert firsts(SECOND) == ["2026-10-15", "2026-W43", None]  # overtaken before a month begins
    assert first_period((FIRST, LAST), LAST, "month") is None
    assert first_period((FIRST, LAST), LAST, "week") is None
    assert firsts(THIRD) == ["2026-10-20", "2026-W44", "2026-11"]


async def test_the_answers_say_which_version_applies(world: World, policy: dict[str, Any]) -> None:
    await eventually(lambda: world.kpi.projectors["trust"].applied.get("org", 0) >= 1)
    assert (await world.post("/v1/policies", DIRECTOR, policy)).status_code == 201
    changed = copy.deepcopy(policy) | {"version": 2, "effective": "2026-10-15"}
    for quota in changed["quotas"]:
        if quota["id"] == "H-35a":
            quota["target"] = 130
    applied = (await world.post("/v1/policies", DIRECTOR, changed)).json()["data"]
    assert applied["first_periods"] == {"day": "2026-10-15", "week": "2026-W43", "month": "2026-11"}
    listed = await world.data("/v1/policies", DIRECTOR)
    assert listed[1]["first_periods"] == applied["first_periods"]

    async def due(period: str) -> tuple[int, str, Any]:
        params = {"period": period, "id": "1", "quota": "H-35a"}
        body = (await world.get("/v1/attainments", DIRECTOR, **params)).json()
        (row,) = body["data"]
        return row["version"], row["due"], body["policy"]

    waiting = {"version": 2, "effective": "2026-10-15", "from_period": "2026-11"}
    old, new = {"version": 1, "effective": policy["effective"]}, {"version": 2, "effective": "2026-10-15"}
    assert await due("2026-10") == (1, "100", {**old, "waiting": waiting})
    assert await due("2026-11") == (2, "130", new)
    table = (await world.get("/v1/table", DIRECTOR, period="2026-10", unit="commercial")).json()
    assert (table["data"]["version"], table["policy"]["waiting"]) == (1, waiting)
