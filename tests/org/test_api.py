"""The organisation over HTTP, against real PostgreSQL and NATS."""

from __future__ import annotations

import asyncio
import time

from tests.org.conftest import SECRET, Org


async def test_a_file_is_applied_as_one_commit_and_a_second_time_changes_nothing(org: Org, small: str) -> None:
    before = (await org.get("/v1/units")).json()["positions"]
    dry = (await org.apply(small, dry_run=True)).json()
    assert dry["applied"] is False
    assert dry["summary"] == {
        "unit": {"add": 4}, "post": {"add": 1}, "person": {"add": 2}, "account": {"add": 1}, "publisher": {"add": 1},
    }  # fmt: skip
    assert (await org.get("/v1/units")).json()["positions"] == before
    done = (await org.apply(small)).json()
    assert done["applied"] is True
    assert done["changes"] == dry["changes"]
    assert done["positions"] == f"org:{int(before.split(':')[1]) + 1}"
    again = (await org.apply(small)).json()
    assert again["changes"] == []
    assert again["positions"] == ""
    assert (await org.get("/v1/units")).json()["positions"] == done["positions"]


async def test_a_change_is_told_by_field_with_what_is_added_and_taken_away(org: Org, small: str) -> None:
    await org.apply(small)
    moved = small.replace("{unit: data, since: 2026-07-01}", "{unit: data, since: 2026-07-02}")
    changes = (await org.apply(moved, dry_run=True)).json()["changes"]
    assert changes == [
        {
            "kind": "person",
            "id": "0012",
            "action": "change",
            "field": "memberships",
            "old": [{"unit": "data", "since": "2026-07-01"}],
            "new": [{"unit": "data", "since": "2026-07-02"}],
        }
    ]


async def test_a_file_with_errors_changes_nothing_and_names_them_all(org: Org, small: str) -> None:
    bad = small + ("  - {publisher: Bad Name}\n")
    bad = bad.replace("unit: commercial, since: 2026-01-01}]", "unit: nowhere, since: 2026-01-01}]")
    answer = await org.apply(bad)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {(item["code"], item["field"]) for item in answer.json()["errors"]}
    assert errors == {
        ("unknown_unit", "people.1002.memberships.0.unit"),
        ("bad_publisher", "publishers.Bad Name.publisher"),
    }
    assert (await org.get("/v1/people")).json()["data"] == []


async def test_the_organisation_is_shown_as_of_any_day(org: Org, small: str) -> None:
    await org.apply(small)
    spring = (await org.get("/v1/organisation?on=2026-03-03")).json()["data"]
    autumn = (await org.get("/v1/organisation?on=2026-10-17")).json()["data"]
    early = (await org.get("/v1/organisation?on=2025-12-31")).json()["data"]

    def units_of(shown: dict, person: str) -> list[str]:  # type: ignore[type-arg]
        return [m["unit"] for p in shown["people"] if p["person"] == person for m in p["memberships"]]

    assert units_of(spring, "0012") == ["commercial"]
    assert units_of(autumn, "0012") == ["data"]
    assert units_of(early, "0012") == []
    assert [p["absent"] for p in spring["people"] if p["person"] == "0012"] == ["leave"]
    assert early["accounts"] == []
    february = (await org.get("/v1/organisation?on=2026-02-14")).json()["data"]
    assert [a["verified_on_day"] for a in february["accounts"]] == [True]
    assert [a["verified_on_day"] for a in autumn["accounts"]] == [False]


async def test_a_csv_of_people_replaces_their_memberships_and_leaves_the_rest(org: Org, small: str) -> None:
    await org.apply(small)
    table = "person,name,unit,since,until\n0012,,data,2026-01-01,\n2001,新人,commercial,2026-09-01,\n"
    done = (await org.apply(table, kind="text/csv")).json()
    assert done["summary"] == {"person": {"change": 1, "add": 1}}
    person = (await org.get("/v1/people/0012")).json()["data"]
    assert person["name"] == "王芳"
    assert [m["unit"] for m in person["memberships"]] == ["data"]
    assert person["roles"] == [{"role": "group_leader", "unit": "data"}]


async def test_a_change_on_an_old_version_is_a_conflict(org: Org, small: str) -> None:
    await org.apply(small)
    tag = (await org.get("/v1/people/1002")).headers["etag"]
    first = await org.put("/v1/people/1002", {"name": "李大强"}, headers={"If-Match": tag})
    assert first.json()["changed"] is True
    second = await org.put("/v1/people/1002", {"name": "李小强"}, headers={"If-Match": tag})
    assert (second.status_code, second.json()["code"]) == (409, "version_conflict")
    assert (await org.put("/v1/people/1002", {"name": "李小强"}, headers={"If-Match": "x"})).json()[
        "code"
    ] == "bad_if_match"


async def test_a_repeated_command_counts_once_and_another_body_under_its_key_is_refused(org: Org, small: str) -> None:
    await org.apply(small)
    key = {"Idempotency-Key": "k1"}
    first = await org.put("/v1/people/3001", {"name": "赵敏"}, headers=key)
    again = await org.put("/v1/people/3001", {"name": "赵敏"}, headers=key)
    assert again.json()["positions"] == first.json()["positions"]
    assert again.json()["version"] == first.json()["version"] == 1
    other = await org.put("/v1/people/3001", {"name": "别人"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_concurrent_changes_of_one_person_all_count_one_after_another(org: Org, small: str) -> None:
    await org.apply(small)
    await asyncio.gather(*(org.put("/v1/people/1002", {"name": f"名{n}"}) for n in range(20)))
    assert (await org.get("/v1/people/1002")).headers["etag"] == '"22"'


async def test_refusals_name_code_field_and_remedy(org: Org, small: str) -> None:
    await org.apply(small)
    overlapping = [{"unit": "data", "since": "2026-01-01"}, {"unit": "data", "since": "2026-05-01"}]
    backwards = [{"unit": "data", "since": "2026-01-02", "until": "2026-01-01"}]
    cases = [
        ("/v1/people/1002/memberships", {"memberships": overlapping}, "memberships_overlap", "memberships"),
        ("/v1/people/1002/memberships", {"memberships": backwards}, "until_before_since", "memberships.0.until"),
        ("/v1/people/9999/absences", {"absences": []}, "unknown_person", "person"),
        ("/v1/accounts/blog/x", {"owner": "9999", "registered": [{"since": "2026-01-01"}]}, "unknown_person", "owner"),
        ("/v1/accounts/blog/x", {"registered": []}, "registration_missing", "registered"),
        (
            "/v1/units/team",
            {"kind": "group", "name_zh": "组", "name_en": "T", "parent": "data"},
            "parent_too_narrow",
            "parent",
        ),
        ("/v1/people/1002/roles", {"roles": [{"role": "group_leader"}]}, "role_needs_unit", "roles.0.unit"),
        ("/v1/people/1002", {"nome": "x"}, "invalid_request", "name"),
    ]
    for path, body, code, field in cases:
        problem = (await org.put(path, body)).json()
        assert (problem["code"], problem["field"]) == (code, field), path
        assert problem["remedy"]


async def test_lists_come_in_pages_with_a_cursor(org: Org, small: str) -> None:
    people = "".join(f"{n:04d},人{n},data,2026-01-01\n" for n in range(25))
    await org.apply(small)
    await org.apply("person,name,unit,since\n" + people, kind="text/csv")
    seen, cursor = [], ""
    while True:
        page = (await org.get(f"/v1/people?limit=10&cursor={cursor}")).json()
        seen += [person["person"] for person in page["data"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 26
    assert seen == sorted(seen)
    assert (await org.get("/v1/people?cursor=nonsense")).json()["code"] == "bad_cursor"
    accounts = (await org.get("/v1/accounts?owner=0012")).json()["data"]
    assert [account["handle"] for account in accounts] == ["wang-1"]


async def test_a_position_beyond_the_head_is_refused(org: Org) -> None:
    answer = await org.get("/v1/units?at_least=org:999")
    assert (answer.status_code, answer.json()["code"]) == (400, "position_beyond_head")


async def test_members_see_their_own_units_people_and_may_change_nothing(org: Org, small: str) -> None:
    await org.apply(small)
    shown = (await org.get("/v1/people", role="member", person="1002")).json()["data"]
    assert {person["person"] for person in shown} == {"1002", "0012"}  # both have been in the commercial group
    leader = (await org.get("/v1/people", role="group_leader", unit="data")).json()["data"]
    assert [person["person"] for person in leader] == ["0012"]
    refused = await org.get("/v1/people/1002", role="group_leader", unit="data")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    change = await org.put("/v1/people/1002", {"name": "x"}, role="member", person="1002")
    assert (change.status_code, change.json()["code"]) == (403, "not_allowed")
    assert (await org.apply(small.replace("group_leader", "department_head"), role="assistant")).json()[
        "code"
    ] == "not_allowed"


async def test_five_thousand_people_are_one_commit_that_reaches_the_stream(org: Org, small: str) -> None:
    await org.apply(small)
    lines = "".join(f"P{n:05d},员工{n},{'data' if n % 2 else 'commercial'},2026-01-01\n" for n in range(5000))
    started = time.monotonic()
    done = await org.apply("person,name,unit,since\n" + lines, kind="text/csv")
    assert done.status_code == 200, done.text[:500]
    assert done.json()["summary"] == {"person": {"add": 5000}}
    assert done.json()["events"] == 10_000
    assert time.monotonic() - started < 30

    async def relayed() -> bool:
        return (await org.client.get("/readyz")).json()["checks"]["relay"].get("lag") == 0

    from tests.eventually import eventually

    await eventually(relayed, timeout=20)
    position = int(done.json()["positions"].split(":")[1])
    page = await org.get(f"/v1/ledger?ledger=org&after={position - 1}", role="auditor")
    assert page.status_code == 200
    assert page.json()["data"][0]["number"] == position


async def test_a_token_is_issued_only_for_what_fits(org: Org, small: str) -> None:
    await org.apply(small)
    assert (await org.grant(grant="instance", secret="wrong", role="director")).status_code == 401
    assert (await org.grant(grant="service", service="kpi", secret="kpi-secret")).status_code == 200
    assert (await org.grant(grant="service", service="kpi", secret="")).json()["code"] == "grant_refused"
    assert (await org.grant(grant="service", service="nobody", secret="x")).json()["code"] == "grant_refused"
    unknown = await org.grant(grant="instance", secret=SECRET, role="member", person="4711")
    assert unknown.json()["code"] == "unknown_person"
    assert (await org.client.get("/v1/people")).json()["code"] == "token_missing"
    service = (await org.grant(grant="service", service="kpi", secret="kpi-secret")).json()
    assert service["expires_in"] <= 600
    headers = {"Authorization": f"Bearer {service['access_token']}"}
    assert (await org.client.get("/v1/ledger?ledger=org", headers=headers)).status_code == 200


async def test_people_sign_in_with_a_password(org: Org, small: str) -> None:
    await org.apply(small)
    assert (await org.put("/v1/people/0012/password", {"password": "short"})).status_code == 422
    assert (await org.put("/v1/people/0012/password", {"password": "a long enough one"})).status_code == 204
    assert (await org.grant(grant="password", person="0012", password="something else")).status_code == 401
    assert (await org.grant(grant="password", person="nobody", password="something else")).status_code == 401
    token = (await org.grant(grant="password", person="0012", password="a long enough one")).json()["access_token"]
    me = await org.client.get("/v1/people/0012", headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 200
    other = await org.put("/v1/people/1002/password", {"password": "a long enough one"}, role="member", person="0012")
    assert other.status_code == 403
    for _ in range(5):
        last = await org.grant(grant="password", person="1002", password="guess")
    assert last.status_code == 401
    assert (await org.grant(grant="password", person="1002", password="guess")).status_code == 429


async def test_a_publisher_s_token_is_shown_once_and_rotated_and_revoked(org: Org, small: str) -> None:
    await org.apply(small)
    path = "/v1/publishers/forum-bot/token"
    made = (await org.post(path, role="operator", headers={"Idempotency-Key": "t"})).json()
    assert len(made["token"]) > 40
    again = (await org.post(path, role="operator", headers={"Idempotency-Key": "t"})).json()
    assert again["token"] is None
    assert "rotation" in again["remedy"]
    assert (await org.post(path, role="operator")).json()["token"] is None
    assert (await org.post(path)).status_code == 403  # the director sees no credentials
    grant = {"grant": "publisher", "publisher": "forum-bot"}
    bearer = (await org.grant(**grant, token=made["token"])).json()["access_token"]
    own = {"Authorization": f"Bearer {bearer}"}
    assert (await org.client.get("/v1/publishers/forum-bot", headers=own)).json()["data"]["sources"] == ["forum-bot"]
    rotated = (await org.post(path + "/rotation", role="operator")).json()
    assert (await org.grant(**grant, token=made["token"])).json()["code"] == "grant_refused"
    assert (await org.grant(**grant, token=rotated["token"])).status_code == 200
    from tests.eventually import eventually

    async def void() -> bool:
        return (await org.client.get("/v1/publishers/forum-bot", headers=own)).json().get("code") == "token_revoked"

    await eventually(void, timeout=5)
    assert (await org.call("DELETE", "/v1/publishers/forum-bot", role="operator")).json()["changed"] is True
    assert (await org.grant(**grant, token=rotated["token"])).json()["code"] == "grant_refused"


async def test_no_secret_reaches_the_ledger(org: Org, small: str) -> None:
    await org.apply(small)
    token = (await org.post("/v1/publishers/forum-bot/token", role="operator")).json()["token"]
    await org.put("/v1/people/0012/password", {"password": "a long enough one"})
    async with org.app.state.org.db.conn() as conn:
        from services.kernel.codec import decode_body

        rows = await conn.fetch("SELECT body, encoding, meta FROM ledger_commit")
    whole = b"".join(decode_body(row["body"], row["encoding"]) + row["meta"] for row in rows)
    assert token.encode() not in whole
    assert b"long enough" not in whole
    assert b'"d":' not in whole.replace(b'\\"', b'"')  # the private half of a key


async def test_keys_rotate_with_an_overlap_and_the_last_one_stays(org: Org) -> None:
    first = (await org.client.get("/.well-known/jwks.json")).json()["keys"]
    assert [key["crv"] for key in first] == ["Ed25519"]
    assert "d" not in first[0]
    kid = first[0]["kid"]
    assert (await org.call("DELETE", f"/v1/keys/{kid}", role="operator")).json()["code"] == "last_signing_key"
    rotated = (await org.post("/v1/keys/rotation", role="operator")).json()
    both = {key["kid"] for key in (await org.client.get("/.well-known/jwks.json")).json()["keys"]}
    assert both == {kid, rotated["key_id"]}
    assert (await org.get("/v1/units")).status_code == 200
    assert (await org.grant(grant="instance", secret=SECRET, role="director")).status_code == 200


async def test_health_metrics_and_documentation_need_no_identity(org: Org) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/docs/static/swagger-ui-bundle.js"):
        assert (await org.client.get(path)).status_code == 200, path
    schema = (await org.client.get("/openapi.json")).json()
    assert "/v1/organisation/import" in schema["paths"]
