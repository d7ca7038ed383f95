"""Values that no column holds, asked of the HTTP reads: refused with a code, never a failure of the service."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "path",
    [
        "/v1/activities?person=%00",
        "/v1/activities?platform=%00",
        "/v1/activities?q=%00",
        "/v1/quarantine?publisher=%00",
        "/v1/quarantine?before=99999999999999999999",
        "/v1/quarantine/99999999999999999999",
    ],
)
async def test_looking_up_what_cannot_be_is_refused(activity, path):
    director = activity.headers(activity.org.person("D1", "director"))
    answer = await activity.client.get(path, headers=director)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_value"), answer.text


async def test_a_void_with_a_null_character_in_its_reason_is_refused(activity):
    director = activity.headers(activity.org.person("D1", "director"), **{"Content-Type": "application/json"})
    for target in (b'{"source": "bot", "id": "\\ud800"}', b'{"source": "bot", "id": "1"}'):
        body = b'{"target": ' + target + b', "reason": "\\ud800"}'
        answer = await activity.client.post("/v1/activities/void", content=body, headers=director)
        assert answer.status_code in (400, 404, 422), answer.text
