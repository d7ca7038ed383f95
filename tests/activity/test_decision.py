"""The decision, sentence by sentence: given(what stands).when(what comes).then(what becomes of it)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from contracts.activity import SYSTEM_SOURCE
from services.activity.catalogue import handbook_types
from services.activity.decision import Decider, Decision
from services.activity.known import KnownIdentities
from services.activity.rules import ActivityType, Grant, shard_of
from services.activity.structure import read_event
from tests.activity.given import post, void

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
TYPES = {
    t.name: ActivityType(t.name, tuple(t.needs), t.default_platform, t.account_must_be_known) for t in handbook_types()
}
BOT = Grant("bot", frozenset(("bot",)))


@dataclass
class Given:
    """A decider that has seen some events."""

    decider: Decider
    grant: Grant = BOT
    outcomes: list[tuple[str, str | None]] = field(default_factory=list)

    def when(self, *events: dict[str, Any], grant: Grant | None = None) -> Given:
        for event in events:
            before = len(self.decider.done.results)
            self.decider.decide(before, read_event(json.dumps(event).encode(), ZONE), grant or self.grant)
            result = self.decider.done.results[-1]
            self.outcomes.append((result.outcome, result.code))
        return self

    def then(self, *outcomes: str | tuple[str, str]) -> Decision:
        expected = [one if isinstance(one, tuple) else (one, None) for one in outcomes]
        assert self.outcomes[-len(expected) :] == expected
        return self.decider.done

    def counts(self) -> int:
        """What the facts add up to."""
        done, total = self.decider.done, 0
        encoded = [e for unit in done.units for e in unit.events] + [
            e for events, _ in done.plain.values() for e in events
        ]
        for event in map(json.loads, encoded):
            if event["type"] == "activity.recorded.v1":
                total += event["data"]["data"].get("quantity", 1)
            elif event["type"] == "activity.voided.v1" and event["data"].get("counted"):
                total -= event["data"]["counted"]["data"]["quantity"]
        return total


def given(*events: dict[str, Any], people: tuple[str, ...] = ("E1", "E2"), shards: int = 1) -> Given:
    known = KnownIdentities()
    known.people = set(people)
    known.accounts = {("weibo", "w1"), ("天涯论坛", "t1"), ("blog", "b1")}
    return Given(Decider({}, {}, TYPES, known, NOW, shards)).when(*events)


def kind(name: str, **data: Any) -> dict[str, Any]:
    return post(type=f"opsledger.activity.{name}") | {"data": data}


# Intake


def test_the_same_content_again_is_a_duplicate_whatever_changed_since():
    nobody = Grant("bot", frozenset())
    given(post()).when(post(), grant=nobody).then("duplicate")


def test_other_content_is_a_conflict_before_it_is_anything_else():
    given(post()).when(post(subject="E2", source="bot"), grant=Grant("bot", frozenset())).then(
        ("rejected", "id_conflict")
    )


def test_envelope_extensions_are_not_content():
    given(post()).when(post(traceid="abc", datacontenttype="application/json")).then("duplicate")


def test_the_order_is_permission_then_catalogue_then_time():
    late = post(type="opsledger.activity.no.such", time="2030-01-01T00:00:00Z")
    given().when(late, grant=Grant("x", frozenset())).then(("rejected", "source_not_allowed"))
    given().when(late, grant=Grant("bot", frozenset(("bot",)), frozenset(("seo.task",)))).then(
        ("rejected", "type_not_allowed")
    )
    given().when(late).then(("rejected", "unknown_type"))
    given().when(post(time="2030-01-01T00:00:00Z")).then(("rejected", "time_in_future"))


def test_five_minutes_in_the_future_are_allowed_and_any_age_is():
    given().when(post(time="2026-11-01T00:05:00Z"), post("2", time="2026-11-01T00:05:01Z")).then(
        "recorded", ("rejected", "time_in_future")
    )
    given().when(post(time="0099-01-01T00:00:00Z")).then("recorded")


@pytest.mark.parametrize(
    "event",
    [
        kind("weibo.post", account="w1"),
        kind("weibo.post", account=" ", form="share"),
        kind("forum.post", account="t1"),
        kind("email.sent"),
        kind("publishing.item"),
        kind("campaign.plan", campaign=""),
        kind("blog.exchange_comment", counterpart=None),
    ],
)
def test_a_need_that_is_absent_or_empty_is_rejected(event):
    given().when(event).then(("rejected", "need_missing"))


def test_nobody_is_his_own_counterpart():
    given().when(kind("blog.exchange_comment", counterpart="E1")).then(("rejected", "counterpart_is_subject"))


def test_the_type_must_carry_the_prefix():
    given().when(post(type="weibo.post")).then(("rejected", "unknown_type"))


def test_held_is_what_org_has_not_on_record():
    given().when(
        post(subject="N"),
        post("2", data={"account": "n"}),
        {**kind("blog.exchange_comment", counterpart="N"), "id": "3"},
    ).then(("held", "unknown_person"), ("held", "unknown_account"), ("held", "unknown_counterpart"))


def test_an_account_that_the_type_does_not_need_holds_nothing():
    given().when(kind("seo.task", account="n", platform="p", counterpart="N")).then("recorded")


def test_a_held_event_uses_up_its_id():
    given(post(subject="N")).when(post(subject="N"), post()).then(("duplicate", "held"), ("rejected", "id_conflict"))


def test_a_rejected_event_does_not_use_up_its_id():
    given(post(time="2030-01-01T00:00:00Z")).when(post()).then("recorded")


# Voids


def test_a_void_takes_back_before_and_after():
    assert given(post(data={"quantity": 3}), void()).counts() == 0
    assert given(void(), post(data={"quantity": 3})).counts() == 0


def test_a_void_is_final():
    stand = given(post(), void()).when(post())
    stand.then(("duplicate", "voided"))
    assert stand.counts() == 0


def test_two_voids_are_one_and_a_void_of_a_void_does_nothing():
    stand = given(post(), void()).when(void(number="v2"), void("v1", "v3"), void("v4", "v4"))
    stand.then(("recorded", "already_voided"), ("recorded", "nothing_to_void"), ("recorded", "nothing_to_void"))
    assert stand.counts() == 0
    assert given(void("v1", "v3"), void(), post()).counts() == 0
    assert given(void(), void(number="v2"), post()).counts() == 0


def test_a_void_ends_a_hold_and_counts_nothing():
    stand = given(post(subject="N")).when(void())
    done = stand.then("recorded")
    assert stand.counts() == 0
    assert not done.held


def test_only_the_targets_own_source_may_void():
    other = Grant("other", frozenset(("other", SYSTEM_SOURCE)))
    given(post()).when(void(source="other"), grant=other).then(("rejected", "void_not_allowed"))
    own = void(source=SYSTEM_SOURCE) | {"data": {"target": {"source": SYSTEM_SOURCE, "id": "1"}, "reason": "r"}}
    given(post()).when(own, grant=other).then(("rejected", "void_not_allowed"))


def test_a_blank_reason_is_no_reason():
    blank = void() | {"data": {"target": {"source": "bot", "id": "1"}, "reason": " "}}
    given(post()).when(blank).then(("rejected", "need_missing"))


def test_a_target_and_its_waiting_void_stand_in_one_commit():
    done = given(void(), post()).decider.done
    assert [len(unit.events) for unit in done.units] == [1, 2]
    assert len(done.new) == 2


def test_a_shard_is_the_persons():
    done = given(post(), post("2", subject="E2"), shards=4).decider.done
    assert {row.shard for row in done.new.values()} == {shard_of("E1", 4), shard_of("E2", 4)}
    late = given(post(), void(), shards=4).decider.done
    assert {unit.shard for unit in late.units} == {shard_of("E1", 4)}


def test_the_platform_is_the_first_word_where_none_is_given():
    done = given(post(), kind("forum.post", account="t1", platform="天涯论坛") | {"id": "2"}).decider.done
    assert [row.platform for row in done.new.values()] == ["weibo", "天涯论坛"]
