"""Values that no column holds, over HTTP: refused with a code, never a failure of the service, and nothing written."""

from __future__ import annotations

import pytest

from tests.org.conftest import Org

UNIT = {"kind": "department", "name_zh": "a", "name_en": "b", "parent": "centre"}
SPAN = [{"since": "2026-01-01"}]


async def test_bad_ids_and_texts_are_refused_with_code_and_field(org: Org, small: str) -> None:
    await org.apply(small)
    head = (await org.get("/v1/units")).json()["positions"]
    for path, body, code in (
        ("/v1/people/a%00b", {"name": "x"}, "bad_value"),
        ("/v1/people/Z3%0a", {"name": "x"}, "bad_person"),
        ("/v1/people/Z1", {"name": "x\x00y"}, "bad_name"),
        ("/v1/people/Z1", {"name": "two\nlines"}, "bad_name"),
        ("/v1/units/zz%0a", UNIT, "bad_unit"),
        ("/v1/units/zz", {**UNIT, "order": 2**31}, "bad_order"),
        ("/v1/units/zz", {**UNIT, "order": 10**30}, "bad_order"),
        ("/v1/posts/a%00", {"name_zh": "a", "name_en": "b"}, "bad_value"),
        ("/v1/posts/x%0a", {"name_zh": "a", "name_en": "b"}, "bad_post"),
        ("/v1/posts/" + "a" * 101, {"name_zh": "a", "name_en": "b"}, "bad_post"),
        ("/v1/accounts/p%00/h", {"registered": SPAN}, "bad_value"),
        ("/v1/accounts/p/h%00", {"registered": SPAN}, "bad_value"),
        ("/v1/accounts/p/h", {"registered": SPAN, "client": "\x00"}, "bad_value"),
    ):
        answer = await org.put(path, body)
        assert (answer.status_code, answer.json().get("code")) == (422, code), (path, answer.text)
    assert (await org.get("/v1/units")).json()["positions"] == head


async def test_half_a_surrogate_pair_is_refused(org: Org) -> None:
    headers = {"Content-Type": "application/json"}
    for path in ("/v1/people/Z1", "/v1/posts/p1"):
        body = b'{"name": "\\ud800"}' if "people" in path else b'{"name_zh": "\\ud800", "name_en": "b"}'
        answer = await org.call("PUT", path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_name"), answer.text


@pytest.mark.parametrize(
    "path",
    ["/v1/people/a%00b", "/v1/accounts?platform=%00", "/v1/accounts?owner=%00", "/v1/accounts/p/%00"],
)
async def test_looking_up_what_cannot_be_is_refused(org: Org, path: str) -> None:
    answer = await org.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_value"), answer.text


async def test_a_grant_with_a_null_character_is_no_failure(org: Org) -> None:
    for grant in ({"grant": "password", "person": "\x00", "password": "x"},
                  {"grant": "publisher", "publisher": "\x00", "token": "x"}):  # fmt: skip
        assert (await org.grant(**grant)).status_code == 422
    answer = await org.post("/v1/revocations", {"principal": "person:\x00"}, role="operator")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_value")
