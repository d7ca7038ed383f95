"""A decision that records without reading first knows what stands all the same: the primary key tells it."""

from __future__ import annotations

import pytest

from tests.activity.given import post, void


@pytest.mark.parametrize("looks", [0, 1])
async def test_what_stands_is_not_recorded_again(activity, looks) -> None:
    async def outcomes(*events) -> list[str]:
        activity.service.intake._looks = looks
        return [result["outcome"] for result in await activity.send(*events)]

    assert await outcomes(post("1"), post("2")) == ["recorded", "recorded"]
    assert await outcomes(post("1"), post("3")) == ["duplicate", "recorded"]
    assert await outcomes(post("4"), post("2", subject="E2")) == ["recorded", "rejected"]
    assert await outcomes(post("5"), post("5")) == ["recorded", "duplicate"]
    assert await outcomes(post("1", type="opsledger.activity.never.heard.of"), post("6")) == ["rejected", "recorded"]
    assert await outcomes(void("7", "v7"), post("8")) == ["recorded", "recorded"]
    assert await outcomes(post("7")) == ["recorded"]
    assert await activity.count() == 7


async def test_after_a_repetition_the_next_decisions_read_first(activity) -> None:
    intake = activity.service.intake
    await activity.send(post("1"))  # whose person and account are looked up
    intake._looks = 0
    await activity.send(post("2"))
    assert intake._looks == 0
    await activity.send(post("1"))
    assert intake._looks > 0
