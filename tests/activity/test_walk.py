"""The walk through intake: recorded, duplicate, conflict, held, rejected."""

from __future__ import annotations

from tests.activity.given import post, void


async def test_an_event_is_recorded_once(activity):
    first = await activity.send(post())
    again = await activity.send(post())
    assert [first[0]["outcome"], again[0]["outcome"]] == ["recorded", "duplicate"]
    assert first[0]["commit"] == again[0]["commit"]
    assert await activity.count() == 1


async def test_other_content_under_the_same_id_is_a_conflict_and_does_not_count(activity):
    await activity.send(post())
    (other,) = await activity.send(post(data={"title": "another"}))
    assert (other["outcome"], other["code"]) == ("rejected", "id_conflict")
    assert await activity.count() == 1


async def test_the_same_id_within_a_batch_counts_once(activity):
    results = await activity.send(post(), post(), post(data={"title": "x"}), post("2"))
    assert [r["outcome"] for r in results] == ["recorded", "duplicate", "rejected", "recorded"]
    assert await activity.count() == 2


async def test_the_same_id_from_another_source_is_another_event(activity):
    token = activity.org.publisher("bot", sources=("bot", "urn:bot:2"))
    results = await activity.send(post(), post(source="urn:bot:2"), token=token)
    assert [r["outcome"] for r in results] == ["recorded", "recorded"]


async def test_a_rejected_event_may_come_mended_under_its_id(activity):
    (bad,) = await activity.send(post(data={"form": "poem"}))
    assert (bad["outcome"], bad["code"], bad["field"]) == ("rejected", "form_invalid", "data.form")
    assert bad["remedy"]
    (good,) = await activity.send(post())
    assert good["outcome"] == "recorded"


async def test_a_void_after_its_target_takes_it_back(activity):
    results = await activity.send(post(data={"quantity": 7}), void())
    assert [r["outcome"] for r in results] == ["recorded", "recorded"]
    assert await activity.count() == 0
    again = await activity.send(post(data={"quantity": 7}))
    assert (again[0]["outcome"], again[0]["code"]) == ("duplicate", "voided")
    assert await activity.count() == 0


async def test_a_void_before_its_target_is_carried_out_in_the_targets_commit(activity):
    (first,) = await activity.send(void())
    assert (first["outcome"], first["code"]) == ("recorded", "target_awaited")
    (target,) = await activity.send(post())
    assert (target["outcome"], target["code"]) == ("recorded", "voided")
    facts = await activity.ledger_events()
    assert [fact["fact"] for fact in facts] == [
        "activity.void_awaited.v1", "activity.recorded.v1", "activity.voided.v1",
    ]  # fmt: skip
    assert facts[1]["commit"] == facts[2]["commit"]
    assert await activity.count() == 0


async def test_two_voids_are_one_and_a_void_of_a_void_does_nothing(activity):
    await activity.send(post(), void(), void(number="v2"))
    assert await activity.count() == 0
    await activity.send(void("v1", "v3"))
    assert await activity.count() == 0


async def test_a_foreign_publishers_void_is_rejected(activity):
    await activity.send(post())
    foreign = void(source="other", subject="E1")
    (result,) = await activity.send(foreign, token=activity.org.publisher("other"))
    assert (result["outcome"], result["code"]) == ("rejected", "void_not_allowed")
    assert await activity.count() == 1
