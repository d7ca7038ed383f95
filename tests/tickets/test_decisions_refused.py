"""Everything about a ticket that is refused, with its code, its status and a remedy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from services.tickets.domain import Command
from tests.tickets.given import (
    absorb,
    assign,
    at,
    classify,
    close,
    given,
    hand_over,
    merge,
    message,
    note,
    opened,
    priority,
    reopen,
    reply,
    resolve,
    resume,
    satisfied,
    sealed,
    start,
    time_passes,
    unassign,
    wait,
)

NOW = at("11:00")
EVERY: dict[str, Command] = {
    "message": message(NOW),
    "reply": reply(NOW),
    "note": note(NOW),
    "assign": assign(NOW, "bob"),
    "unassign": unassign(NOW),
    "start": start(NOW),
    "wait": wait(NOW, on="internal"),
    "resume": resume(NOW),
    "resolve": resolve(NOW, outcome="declined"),
    "satisfied": satisfied(NOW),
    "reopen": reopen(NOW),
    "close": close(NOW),
    "merge": merge(NOW, into="T9"),
    "absorb": absorb(NOW, other="T9"),
    "hand over": hand_over(NOW),
    "classify": classify(NOW, topic="other"),
    "priority": priority(NOW),
}
PASTS: dict[str, list[Command]] = {
    "open": [opened()],
    "assigned": [opened(), assign(at("09:10"))],
    "in_progress": [opened(), assign(at("09:10")), start(at("09:20"))],
    "waiting": [opened(), reply(at("09:10")), wait(at("09:20"))],
    "resolved": [opened(), resolve(at("09:30"))],
    "closed": [opened(), resolve(at("09:30")), close(at("09:40"))],
}
DONE = ["reply", "assign", "unassign", "start", "wait", "resume", "resolve", "merge", "absorb", "hand over", "priority"]
NOT_POSSIBLE = {
    "open": ["satisfied", "reopen", "close"],
    "assigned": ["satisfied", "reopen", "close"],
    "in_progress": ["satisfied", "reopen", "close"],
    "waiting": ["start", "satisfied", "reopen", "close"],
    "resolved": DONE,
    "closed": DONE,
}


@pytest.mark.parametrize(("state", "name"), [(state, name) for state, names in NOT_POSSIBLE.items() for name in names])
def test_what_is_not_possible_in_a_state(state: str, name: str) -> None:
    given(*PASTS[state]).when(EVERY[name]).then_refused("not_in_this_state", status=409, names=state)


@pytest.mark.parametrize(
    ("state", "name"), [(state, name) for state in PASTS for name in EVERY if name not in NOT_POSSIBLE[state]]
)
def test_all_else_is_possible_in_it(state: str, name: str) -> None:
    past = given(*PASTS[state])
    assert past.ticket is not None
    assert past.ticket.state == state
    events = past.when(EVERY[name]).decided()
    assert all(event.ticket == "T1" for event in events)


@pytest.mark.parametrize("name", EVERY)
def test_merged_is_final_and_says_where_it_went_on(name: str) -> None:
    merged = given(opened(), resolve(at("09:10")), reopen(at("09:20")), merge(at("09:30")))
    merged.when(EVERY[name]).then_refused("ticket_merged", status=409, field="ticket", names="T2")


@pytest.mark.parametrize("name", [*EVERY, "time"])
def test_what_is_not_there(name: str) -> None:
    command = EVERY.get(name, time_passes(NOW))
    given().when(command).then_refused("unknown_ticket", status=404, field="ticket")


def test_a_ticket_is_opened_once() -> None:
    given(opened()).when(opened()).then_refused("ticket_exists", status=409, field="ticket")


@pytest.mark.parametrize("past", [[opened()], [opened(), reply(at("09:10")), message(at("09:20"))]])
def test_the_customer_is_not_waited_for_while_they_wait_for_an_answer(past: list[Command]) -> None:
    given(*past).when(wait(NOW)).then_refused("response_due", status=409, field="on")


def test_nor_by_way_of_another_wait() -> None:
    story = given(opened(), wait(at("09:10"), on="internal"))
    story.when(wait(NOW, on="customer")).then_refused("response_due", status=409, field="on")


@pytest.mark.parametrize("until", [at("10:59"), at("11:00")])
def test_a_wait_ends_after_it_begins(until: datetime) -> None:
    given(opened()).when(wait(NOW, on="internal", until=until)).then_refused("until_past", status=422, field="until")


def test_a_wait_ends_after_the_instant_at_which_it_is_taken() -> None:
    story = given(opened(), note(at("10:00")))
    story.when(wait(at("09:00"), on="internal", until=at("09:30"))).then_refused(
        "until_past", status=422, field="until"
    )


def test_a_moment_without_its_offset() -> None:
    given(opened()).when(wait(NOW, on="internal", until=datetime(2026, 3, 3, 9))).then_refused(
        "offset_missing", status=422, field="until"
    )


@pytest.mark.parametrize("score", [0, 6, -1])
def test_a_score_is_one_to_five(score: int) -> None:
    given(*PASTS["resolved"]).when(satisfied(NOW, score)).then_refused("score_out_of_range", status=422, field="score")


@pytest.mark.parametrize("number", [0, 2, -1])
def test_a_verdict_on_a_resolution_that_never_happened(number: int) -> None:
    given(*PASTS["resolved"]).when(satisfied(NOW, 3, number)).then_refused(
        "unknown_resolution", status=422, field="resolution"
    )


@pytest.mark.parametrize("again", [{"score": 4}, {"score": 3, "content": sealed("words")}])
def test_a_second_verdict(again: dict[str, Any]) -> None:
    judged = given(*PASTS["resolved"], satisfied(at("10:00"), 3))
    judged.when(satisfied(NOW, **again)).then_refused("satisfaction_already_given", status=409, field="resolution")


@pytest.mark.parametrize("command", [resolve(NOW, by="bob"), resolve(NOW, outcome="withdrawn")])
def test_another_resolution_of_what_is_resolved(command: Command) -> None:
    given(*PASTS["resolved"]).when(command).then_refused("not_in_this_state", status=409)


def test_a_merge_with_itself() -> None:
    given(opened()).when(merge(NOW, into="T1")).then_refused("merge_with_itself", status=422, field="into")
    given(opened()).when(absorb(NOW, other="T1")).then_refused("merge_with_itself", status=422, field="other")


def test_a_merge_of_two_customers() -> None:
    given(opened()).when(merge(NOW, customer="C2")).then_refused("other_customer", status=409, field="into")
    given(opened()).when(absorb(NOW, customer="C2")).then_refused("other_customer", status=409, field="other")
