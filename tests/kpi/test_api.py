"""The kpi service over HTTP, on real Postgres and NATS."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from contracts.org import Membership, MembershipsChanged
from tests.kpi.given import World, activity, figures, token, void

DAY = date(2026, 10, 14)
DIRECTOR = token("9", ("director", None))


@pytest.fixture
async def ready(world: World, policy: dict[str, Any]) -> World:
    """With the handbook's policy in force."""
    answer = await world.client.get("/v1/policies", params={"at_least": "org:1"})
    assert answer.status_code == 401
    from tests.eventually import eventually

    await eventually(lambda: world.kpi.projectors["trust"].applied.get("org", 0) >= 1)
    applied = await world.post("/v1/policies", DIRECTOR, policy)
    assert applied.status_code == 201, applied.text
    return world


async def test_an_activity_shows_in_every_scope_at_its_own_position(ready: World) -> None:
    at = await ready.happen(
        activity("1", "forum.post", DAY, platform="tianya", account="a", quantity=3),
        activity("1", "forum.post", DAY, platform="tianya", account="b"),
        activity("1", "blog.exchange_comment", DAY, counterpart="2"),
    )
    mine = await ready.data("/v1/attainments", DIRECTOR, period="2026-10", id="1", at_least=at)
    assert figures(mine)["H-29a"] == "2"
    assert {row["status"] for row in mine if row["quota"] == "H-29a"} <= {"met", "on_track"}
    group = await ready.data("/v1/attainments", DIRECTOR, period="2026-10", scope="unit", id="promotion")
    assert figures(group)["H-29a"] == "2"
    pair = await ready.data("/v1/attainments", DIRECTOR, period="2026-W42", scope="pair", id="2+1")
    assert figures(pair)["H-32d"] == "1"
    assert pair[0]["id"] == "1+2"


async def test_nobody_without_activity_is_skipped(ready: World) -> None:
    at = await ready.happen(activity("1", "weibo.post", DAY, account="w", form="original"))
    table = await ready.data("/v1/table", DIRECTOR, period="2026-10", unit="promotion", at_least=at)
    assert [row["person"] for row in table["rows"]] == ["1", "2", "3"]
    assert table["rows"][1]["cells"]["H-35a"]["done"] == "0"
    assert table["totals"]["H-35a"]["done"] == "1"
    again = await ready.data("/v1/table", DIRECTOR, period="2026-10", unit="promotion")
    assert again == table


async def test_a_void_takes_the_counts_back_and_the_table_forgets_the_old_row(ready: World) -> None:
    post = activity("1", "weibo.post", DAY, account="w", quantity=5)
    at = await ready.happen(post)
    before = await ready.data("/v1/table", DIRECTOR, period="2026-10", unit="commercial", at_least=at)
    at = await ready.happen(void(post))
    after = await ready.data("/v1/table", DIRECTOR, period="2026-10", unit="commercial", at_least=at)
    assert [t["rows"][0]["cells"]["H-35a"]["done"] for t in (before, after)] == ["5", "0"]


async def test_a_backdated_transfer_moves_the_credit(ready: World) -> None:
    await ready.happen(activity("1", "weibo.post", DAY, account="w"))
    at = await ready.say(
        MembershipsChanged(
            person="1",
            memberships=[
                Membership(unit="commercial", since=date(2020, 1, 1), until=DAY - timedelta(days=1)),
                Membership(unit="public-interest", since=DAY),
            ],
        )
    )
    at += ",activity.0:1"
    new = await ready.data(
        "/v1/attainments", DIRECTOR, period="2026-10", scope="unit", id="public-interest", at_least=at
    )
    old = await ready.data("/v1/attainments", DIRECTOR, period="2026-10", scope="unit", id="commercial")
    assert (figures(new)["H-35a"], figures(old)["H-35a"]) == ("1", "0")


async def test_an_account_answers_under_its_encoded_id(ready: World) -> None:
    at = await ready.happen(activity("1", "blog.original", DAY, account="blog-1"))
    rows = await ready.data(
        "/v1/attainments", DIRECTOR, period="2026-10", scope="account", id="blog/blog-1", at_least=at
    )
    assert {(row["quota"], row["person"], row["done"]) for row in rows} >= {("H-32a", "1", "1")}


async def test_a_trend_has_a_figure_for_every_period(ready: World) -> None:
    at = await ready.happen(activity("1", "weibo.post", DAY, account="w"))
    asked = {"quota": "H-35a", "scope": "person", "id": "1", "from": "2026-08", "to": "2026-11", "at_least": at}
    rows = await ready.data("/v1/trend", DIRECTOR, **asked)
    assert [(row["period"], row["done"]) for row in rows] == [
        ("2026-08", "0"), ("2026-09", "0"), ("2026-10", "1"), ("2026-11", "0"),
    ]  # fmt: skip


async def test_a_policy_version_is_applied_once_and_never_changed(ready: World, policy: dict[str, Any]) -> None:
    again = await ready.post("/v1/policies", DIRECTOR, policy)
    assert (again.status_code, again.json()["data"]["applied"]) == (200, False)
    other = await ready.post("/v1/policies", DIRECTOR, {**policy, "title": "another"})
    assert (other.status_code, other.json()["code"]) == (409, "policy_version_taken")


async def test_the_companys_rule_beats_the_centres_and_both_are_shown(ready: World, policy: dict[str, Any]) -> None:
    company = next(q for q in policy["quotas"] if q["id"] == "H-35a") | {"layer": "company", "target": 7}
    changed = {**policy, "version": 2, "effective": "2026-09-01", "quotas": [*policy["quotas"], company]}
    assert (await ready.post("/v1/policies", DIRECTOR, changed)).status_code == 201
    shown = await ready.data("/v1/policies/in-force", DIRECTOR, on="2026-10-01")
    layers = [(q["layer"], q["in_force"], q.get("beaten_by")) for q in shown["quotas"] if q["id"] == "H-35a"]
    assert sorted(layers) == [("centre", False, "company"), ("company", True, None)]
    for period, version, due in (("2026-10", 2, "7"), ("2026-08", 1, "100")):
        rows = await ready.data("/v1/attainments", DIRECTOR, period=period, id="1", quota="H-35a")
        assert [(row["version"], row["due"]) for row in rows] == [(version, due)]


async def test_a_position_beyond_the_head_is_refused_at_once(ready: World) -> None:
    answer = await ready.get("/v1/attainments", DIRECTOR, period="2026-10", id="1", at_least="activity.0:9999")
    assert (answer.status_code, answer.json()["code"]) == (400, "position_beyond_head")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/attainments?period=2026-13&id=1", "bad_period"),
        ("/v1/attainments?period=2026-10&scope=pair&id=1", "bad_pair"),
        ("/v1/attainments?period=2026-10&scope=unit&id=nowhere", "unknown_unit"),
        ("/v1/table?period=2026-10&unit=nowhere", "unknown_unit"),
        ("/v1/trend?quota=H-35a&scope=person&id=1&from=2026-10&to=2026-W43", "bad_range"),
    ],
)
async def test_what_cannot_be_answered_says_why(ready: World, path: str, code: str) -> None:
    answer = await ready.client.get(path, headers={"Authorization": f"Bearer {DIRECTOR}"})
    assert answer.json()["code"] == code
    assert answer.json()["remedy"]


async def test_who_may_see_whose_figures(ready: World) -> None:
    member = token("1", ("member", "commercial"))
    leader = token("2", ("group_leader", "commercial"))
    head = token("8", ("department_head", "promotion"))
    seen = {
        name: [
            (await ready.get("/v1/attainments", who, period="2026-10", scope=scope, id=scope_id)).status_code
            for scope, scope_id in (
                ("person", "1"), ("person", "2"), ("person", "3"), ("person", "4"),
                ("unit", "commercial"), ("unit", "promotion"), ("unit", "centre"), ("account", "blog/blog-1"),
                ("pair", "1+3"),
            )
        ]
        for name, who in (("member", member), ("leader", leader), ("head", head))
    }  # fmt: skip
    assert seen == {
        "member": [200, 403, 403, 403, 200, 403, 403, 200, 200],
        "leader": [200, 200, 403, 403, 200, 200, 403, 200, 200],
        "head": [200, 200, 200, 403, 200, 200, 200, 200, 200],
    }
    rows = (await ready.data("/v1/table", member, period="2026-10", unit="commercial"))["rows"]
    assert [row["person"] for row in rows] == ["1"]
    assert (await ready.post("/v1/policies", member, {})).status_code in (403, 422)
    assert (await ready.get("/v1/projections", member)).status_code == 403


async def test_projections_say_where_they_are_and_a_rebuild_finds_no_difference(ready: World) -> None:
    from tests.eventually import eventually

    operator = token("7", ("operator", None))
    at = await ready.happen(*(activity(str(1 + n % 3), "weibo.post", DAY, account=f"w{n}") for n in range(50)))
    await ready.data("/v1/attainments", DIRECTOR, period="2026-10", id="1", at_least=at)
    started = await ready.post("/v1/projections/facts/rebuild", operator, {})
    assert started.status_code == 202

    async def report() -> Any:
        rows = await ready.data("/v1/projections", operator)
        return next(row for row in rows if row["name"] == "facts")["rebuild"].get("report")

    found = await eventually(report)
    assert (found["differences"], found["switched"]) == ([], True)
    mine = await ready.data("/v1/attainments", DIRECTOR, period="2026-10", id="1")
    assert figures(mine)["H-35a"] == "17"


async def test_periods_at_the_calendar_s_end_and_ids_that_cannot_be_are_refused(ready: World) -> None:
    for period in ("9999-12-31", "9999-W52", "9999-12"):
        for path, more in (
            ("/v1/attainments", {"id": "1"}),
            ("/v1/table", {"unit": "promotion"}),
            ("/v1/explain", {"id": "1", "scope": "person", "quota": "H-31a"}),
            ("/v1/alerts", {}),
        ):
            answer = await ready.get(path, DIRECTOR, period=period, **more)
            assert (answer.status_code, answer.json()["code"]) == (422, "bad_period"), (path, answer.text)
    answer = await ready.get("/v1/attainments", DIRECTOR, period="2026-10", id="\x00")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_value"), answer.text


async def test_a_policy_with_a_target_or_weight_that_means_nothing_is_refused(
    ready: World, policy: dict[str, Any]
) -> None:
    for change in (
        {"target": 0},
        {"target": -1},
        {"target": 10**30},
        {"weight": -1},
        {"weight": 1e300},
        {"id": "\x00"},
    ):
        quotas = [{**policy["quotas"][0], **change}, *policy["quotas"][1:]]
        answer = await ready.post("/v1/policies", DIRECTOR, {**policy, "version": 9, "quotas": quotas})
        assert (answer.status_code, answer.json().get("code")) == (422, "bad_quota"), (change, answer.text)
        assert answer.json()["field"].startswith("quotas.")
    assert [row["version"] for row in await ready.data("/v1/policies", DIRECTOR)] == [policy["version"]]
