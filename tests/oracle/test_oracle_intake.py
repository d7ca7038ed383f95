"""Which events stand: identity, rejection, holding, voids; worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from tests.oracle.intake import Delivery, standing, verdicts
from tests.oracle.small import PUBLISHER, account, event, organisation, sent, void

ORG = organisation(account("tieba", "t", "A"), account("qq", "q", "A", registered=("2026-11-01", None)))


def outcomes(*events: dict[str, Any], **more: Any) -> list[str]:
    return [verdict.outcome for verdict in verdicts({**ORG, **more}, sent(*events))]


def counted(*events: dict[str, Any]) -> list[tuple[str, int]]:
    return [(activity.id, activity.quantity) for activity in standing(ORG, sent(*events))]


def changed(made: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {**made, "data": {**made["data"], **data}}


def test_the_first_valid_one_stands() -> None:
    first = event("seo.task", "A", quantity=2, title="x")
    again = {**first, "time": "2026-10-05T04:00:00Z", "traceparent": "00-1-2-3"}  # the same moment; an extension
    other = changed(first, quantity=3)
    foreign = {**first, "source": "another"}
    assert outcomes(first, again, other, foreign) == ["recorded", "duplicate", "conflict", "recorded"]
    assert counted(first, again, other) == [(first["id"], 2)]
    assert counted(other, again, first) == [(first["id"], 3)]
    assert len(counted(first, foreign)) == 2


def test_a_rejected_event_may_come_again_mended() -> None:
    right = event("tieba.post", "A", account="t", quantity=7)
    wrong = changed(right, quantity=0)
    assert outcomes(wrong, right, wrong) == ["rejected", "recorded", "conflict"]
    assert counted(wrong, right, wrong) == [(right["id"], 7)]


GOOD = event("tieba.post", "A", account="t")
FLAWS = {
    "not 1.0": {**GOOD, "specversion": "0.3"},
    "no id": {**GOOD, "id": ""},
    "no source": {key: value for key, value in GOOD.items() if key != "source"},
    "unknown type": {**GOOD, "type": "opsledger.activity.tieba.like"},
    "foreign type": {**GOOD, "type": "tieba.post"},
    "no subject": {key: value for key, value in GOOD.items() if key != "subject"},
    "no time": {key: value for key, value in GOOD.items() if key != "time"},
    "no offset": {**GOOD, "time": "2026-10-05T12:00:00"},
    "no such day": {**GOOD, "time": "2026-02-30T12:00:00Z"},
    "a need absent": {**GOOD, "data": {}},
    "a need empty": changed(GOOD, account=""),
    "zero": changed(GOOD, quantity=0),
    "half": changed(GOOD, quantity=1.5),
    "text": changed(GOOD, quantity="3"),
    "truth": changed(GOOD, quantity=True),
    "wrong kind": changed(GOOD, on_topic="yes"),
    "wrong form": changed(GOOD, form="repost"),
    "self": changed(GOOD, counterpart="A"),
    "e-mail without quantity": event("email.sent", "A"),
    "future": {**GOOD, "time": "2026-11-01T00:05:01Z"},
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_rejected(flaw: str) -> None:
    delivery = Delivery(PUBLISHER, FLAWS[flaw], received=datetime(2026, 11, 1, tzinfo=UTC))
    assert [verdict.outcome for verdict in verdicts(ORG, [delivery])] == ["rejected"]


def test_five_minutes_ahead_is_not_yet_the_future() -> None:
    ahead = Delivery(PUBLISHER, {**GOOD, "time": "2026-11-01T00:05:00Z"}, received=datetime(2026, 11, 1, tzinfo=UTC))
    assert [verdict.outcome for verdict in verdicts(ORG, [ahead])] == ["recorded"]


def test_unknown_people_and_needed_accounts_hold() -> None:
    assert outcomes(
        event("seo.task", "X"),
        event("tieba.post", "A", account="unheard"),
        event("blog.exchange_comment", "A", counterpart="X"),
        event("qq.comment", "A", account="q"),  # registered only later: on record all the same
        event("seo.task", "A", account="unheard", counterpart="X"),  # not needed by the type
        event("tieba.post", "A", account="t", platform="forum"),  # another account: (forum, t)
    ) == ["held", "held", "held", "recorded", "recorded", "held"]


def test_a_held_event_uses_up_its_id() -> None:
    held = event("seo.task", "X")
    assert outcomes(held, {**held, "subject": "A"}) == ["held", "conflict"]


def test_permission_to_publish() -> None:
    publishers = [{"publisher": PUBLISHER, "types": ["seo.task"], "sources": [PUBLISHER]}]
    named_as_another = {**event("seo.task", "A"), "source": "another"}
    events = (event("seo.task", "A"), event("seo.strategy", "A"), named_as_another)
    assert outcomes(*events, publishers=publishers) == ["recorded", "rejected", "rejected"]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_voids_take_back_in_any_order_and_for_ever(order: tuple[int, ...]) -> None:
    target = event("seo.task", "A")
    voiding = void(target)
    events = [target, voiding, void(voiding), target]  # a void of the void, and the target sent again
    assert counted(*(events[index] for index in order)) == []


def test_a_void_reaches_only_its_own_source_and_needs_a_reason() -> None:
    target = event("seo.task", "A")
    assert outcomes(target, void(target, source="another"), void(target, reason="")) == ["recorded", *["rejected"] * 2]
    assert counted(target, void(target, source="another"), void(target, reason="")) == [(target["id"], 1)]
    assert counted(target, void(target, source="/opsledger/console")) == []  # an entitled person's own


def test_a_correction_is_a_void_and_the_right_event_under_a_new_id() -> None:
    wrong = event("seo.task", "A", quantity=10)
    right = event("seo.task", "A", quantity=1)
    assert counted(wrong, void(wrong), right, void(wrong)) == [(right["id"], 1)]
