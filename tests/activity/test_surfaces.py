"""The HTTP surfaces beside intake: holds, corrections, quarantine, search, evidence, catalogue, fate of an event."""

from __future__ import annotations

import asyncio
import gzip
import json

from tests.activity.given import PersonRegistered, account, post, void
from tests.eventually import eventually


async def test_a_held_event_is_recorded_when_org_knows(activity):
    (held,) = await activity.send(post(subject="N1", data={"account": "n1"}))
    assert (held["outcome"], held["code"]) == ("held", "unknown_person")
    shown = (await activity.get("/v1/holds")).json()["data"]
    assert {(r["code"], r["key"]) for r in shown[0]["reasons"]} == {
        ("unknown_person", "N1"), ("unknown_account", "weibo/n1"),
    }  # fmt: skip
    await activity.org.say(PersonRegistered(person="N1", name="new"))
    await activity.org.say(account("weibo", "n1"))

    async def recorded():
        return await activity.count() == 1

    await eventually(recorded)
    fact = (await activity.ledger_events())[-1]
    assert (fact["fact"], fact["after_hold"]) == ("activity.recorded.v1", True)
    assert not (await activity.get("/v1/holds")).json()["data"]
    (again,) = await activity.send(post(subject="N1", data={"account": "n1"}))
    assert again["outcome"] == "duplicate"
    # ended by a void, and by an operator
    await activity.send(post("h2", subject="N2"), void("h2", "v2"), post("h3", subject="N3"))
    assert [h["id"] for h in (await activity.get("/v1/holds")).json()["data"]] == ["h3"]
    body = {"target": {"source": "bot", "id": "h3"}, "reason": "wrong number", "event": post(subject="E2")}
    operator = activity.headers(activity.org.person("O1", "operator"), **{"Idempotency-Key": "k"})
    done = await activity.client.post("/v1/activities/correct", json=body, headers=operator)
    assert done.status_code == 200, done.text
    repeated = await activity.client.post("/v1/activities/correct", json=body, headers=operator)
    assert repeated.json()["results"][1]["commit"] == done.json()["results"][1]["commit"]
    assert await activity.count() == 2
    refused = await activity.client.post(
        "/v1/activities/correct", json={**body, "target": {"source": "bot", "id": "1"}}, headers=operator
    )
    assert refused.status_code in (403, 422)


async def test_entitled_people_void_and_correct_and_others_do_not(activity):
    await activity.send(post(), post("2", subject="X9"))
    member = activity.headers(activity.org.person("E2", "member", "g1"))
    head = activity.headers(activity.org.person("H1", "department_head", "d1"))
    body = {"target": {"source": "bot", "id": "1"}, "reason": "wrong form"}
    assert (await activity.client.post("/v1/activities/void", json=body, headers=member)).status_code == 403
    other = {**body, "target": {"source": "bot", "id": "2"}}
    assert (await activity.client.post("/v1/activities/void", json=other, headers=head)).status_code == 403
    right = {k: v for k, v in post(data={"quantity": 5}).items() if k not in ("id", "source")}
    done = await activity.client.post("/v1/activities/correct", json={**body, "event": right}, headers=head)
    assert done.status_code == 200, done.text
    voided, corrected = (await activity.ledger_events())[-2:]
    assert (voided["fact"], corrected["fact"]) == ("activity.voided.v1", "activity.recorded.v1")
    assert voided["commit"] == corrected["commit"]
    assert corrected["corrects"] == {"source": "bot", "id": "1"}
    assert voided["reason"] == "wrong form"
    assert corrected["source"] == "/opsledger/console"
    assert await activity.count() == 6
    twice = await activity.client.post("/v1/activities/correct", json={**body, "event": right}, headers=head)
    assert (twice.status_code, twice.json()["code"]) == (409, "already_voided")
    wrong = {**body, "target": {"source": "bot", "id": "2"}, "event": {**right, "subject": "X9", "time": "never"}}
    director = activity.headers(activity.director)
    assert (await activity.client.post("/v1/activities/correct", json=wrong, headers=director)).status_code == 422
    assert await activity.count() == 6


async def test_rejected_events_are_kept_mended_and_recorded(activity):
    await activity.send(post("q1", data={"form": "poem"}), post("q2", type="opsledger.activity.no.such"))
    operator = activity.org.person("O1", "operator")
    listed = (await activity.get("/v1/quarantine", operator)).json()["data"]
    assert [(row["id"], row["code"]) for row in listed] == [("q2", "unknown_type"), ("q1", "form_invalid")]
    number = listed[1]["number"]
    masked = (await activity.get(f"/v1/quarantine/{number}", operator)).json()["data"]
    assert "poem" not in masked["original"]
    assert json.loads((await activity.get(f"/v1/quarantine/{number}")).json()["data"]["original"])["id"] == "q1"
    path = f"/v1/quarantine/{number}/mend"
    done = await activity.client.post(
        path, json={"patch": {"data": {"form": "share"}}}, headers=activity.headers(operator)
    )
    assert done.json()["results"][0]["outcome"] == "recorded", done.text
    assert await activity.count() == 1
    fate = (await activity.get("/v1/events/status", activity.org.publisher(), source="bot", id="q1")).json()
    assert (fate["state"], bool(fate["recorded"])) == ("recorded", True)
    fate = (await activity.get("/v1/events/status", activity.org.publisher(), source="bot", id="q2")).json()
    assert (fate["state"], fate["quarantine"]["code"]) == ("rejected", "unknown_type")


async def test_search_and_evidence_show_what_counts(activity):
    events = [post(str(n), time=f"2026-10-{n:02}T08:00:00+08:00", data={"quantity": n}) for n in range(1, 8)]
    answer = await activity.post(events)
    position = answer.json()["position"]
    await activity.send(void("3"))
    first = (await activity.get("/v1/activities", person="E1", limit=4, q="origin")).json()
    second = (await activity.get("/v1/activities", person="E1", limit=4, cursor=first["next"])).json()
    assert [row["id"] for row in first["data"] + second["data"]] == ["7", "6", "5", "4", "2", "1"]
    member = activity.org.person("E2", "member", "g1")
    assert (await activity.get("/v1/activities", member, person="E1")).status_code == 403
    leader = activity.org.person("L1", "group_leader", "g1")
    assert len((await activity.get("/v1/activities", leader)).json()["data"]) == 6
    selector = {"subject": "E1", "since": "2026-10-01", "until": "2026-10-31", "types": ["weibo.post"],
                "accounts": [["weibo", "w1"]], "forms": ["original"]}  # fmt: skip

    async def evidence(**more):
        body = {"selectors": [selector, selector], **more}
        got = await activity.client.post("/v1/evidence", json=body, headers=activity.headers(activity.director))
        return got.json()

    now, then = await evidence(limit=3), await evidence(at=position)
    assert (now["total_quantity"], now["total_events"], len(now["data"])) == (25, 6, 3)
    assert (then["total_quantity"], then["total_events"]) == (28, 7)
    assert len((await evidence(limit=3, cursor=now["next"]))["data"]) == 3


async def test_the_catalogue_is_data(activity):
    kinds = (await activity.get("/v1/catalogue", activity.org.publisher())).json()["data"]
    assert len(kinds) == 44
    entry = {"name": "video.clip", "row": "X-1", "needs": ["seconds"], "name_zh": "短视频", "name_en": "clip"}
    headers = activity.headers(activity.director)
    assert (await activity.client.put("/v1/catalogue/video.clip", json=entry, headers=headers)).status_code == 200
    clip = post(type="opsledger.activity.video.clip", data={"account": ..., "form": ...})
    (missing,) = await activity.send(clip)
    assert (missing["code"], missing["field"]) == ("need_missing", "data.seconds")
    (there,) = await activity.send({**clip, "data": {"seconds": 12}})
    assert there["outcome"] == "recorded"


async def test_content_modes_and_limits(activity):
    packed = gzip.compress(json.dumps([post()]).encode())
    headers = activity.headers(**{"content-type": "application/cloudevents-batch+json", "content-encoding": "gzip"})
    answer = await activity.client.post("/v1/events", content=packed, headers=headers)
    assert answer.json()["results"][0]["outcome"] == "recorded"
    assert (await activity.post([post(str(n)) for n in range(1001)])).status_code == 413
    broken = await activity.client.post("/v1/events", content=b"{", headers=activity.headers())
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed_json")
    narrow = activity.org.publisher("narrow", ("seo.task",))
    (flaw,) = await activity.send(post("9", source="narrow"), token=narrow)
    assert flaw["code"] == "type_not_allowed"
    (flaw,) = await activity.send(post("9"), token=narrow)
    assert flaw["code"] == "source_not_allowed"
    member = activity.org.person("E1", "member", "g1")
    (own,) = await activity.send(post("m1", source="/opsledger/console"), token=member)
    assert own["outcome"] == "recorded"
    (flaw,) = await activity.send(post("m2", source="/opsledger/console", subject="E2"), token=member)
    assert flaw["code"] == "subject_not_allowed"


async def test_voids_and_targets_racing_never_leave_a_count(activity):
    targets = [post(f"r{n}") for n in range(40)]
    voids = [void(f"r{n}", f"rv{n}") for n in range(40)]
    await asyncio.gather(*(activity.send(event) for pair in zip(targets, voids, strict=True) for event in pair))
    assert await activity.count() == 0


async def test_holds_and_the_change_that_ends_them_racing_leave_nothing_held(activity):
    async def one(n: int) -> None:
        await asyncio.gather(
            activity.send(post(f"s{n}", subject=f"S{n}")),
            activity.org.say(PersonRegistered(person=f"S{n}", name="s")),
        )

    await asyncio.gather(*(one(n) for n in range(25)))

    async def all_recorded():
        return await activity.count() == 25 and not (await activity.get("/v1/holds")).json()["data"]

    await eventually(all_recorded, timeout=20)
