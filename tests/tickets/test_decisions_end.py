"""How tickets end, begin again, and go on in one another; and to whose credit."""

from __future__ import annotations

import pytest

from contracts.tickets import (
    ClockBreached,
    ClockEnded,
    ClockWarned,
    MessageReceived,
    SatisfactionGiven,
    TicketAbsorbed,
    TicketClosed,
    TicketHandedOver,
    TicketMerged,
    TicketReopened,
    TicketReplied,
    TicketResolved,
)
from services.kernel.errors import Refusal
from services.tickets.decisions import decide, decide_merge
from tests.tickets.given import (
    CLOSING,
    HOUR,
    PLAIN,
    absorb,
    assign,
    at,
    close,
    given,
    hand_over,
    merge,
    message,
    note,
    opened,
    reopen,
    reply,
    resolve,
    satisfied,
    sealed,
    time_passes,
    wait,
)


def test_resolving_credits_who_asks_and_the_unit_and_ends_the_clocks() -> None:
    story = given(opened(topic="billing", project="p"), assign(at("09:10")), reply(at("09:30")))
    story.when(resolve(at("11:00"), "bob", "explained")).then(
        TicketResolved(
            ticket="T1", resolution=1, outcome="explained", content=sealed("solution"), unit="care", kind="complaint",
            project="p", topic="billing", by="bob", at=at("11:00"),
            ended=[ClockEnded(clock="resolution", used=2 * HOUR, target=16 * HOUR, met=True)],
        ),
        state="resolved", assignee="ann", clocks=(),
    )  # fmt: skip


def test_resolving_is_an_answer() -> None:
    resolved = given(opened()).when(resolve(at("09:30"))).decided()[0]
    assert isinstance(resolved, TicketResolved)
    assert resolved.ended == [
        ClockEnded(clock="first_response", used=HOUR // 2, target=HOUR, met=True),
        ClockEnded(clock="resolution", used=HOUR // 2, target=16 * HOUR, met=True),
    ]


def test_a_waiting_ticket_may_be_resolved_and_the_wait_is_not_counted() -> None:
    story = given(opened(), reply(at("09:30")), wait(at("10:00"), until=at("09:00", days=3)))
    resolved = story.when(resolve(at("17:00"))).then_kinds(TicketResolved, waiting_on=None, waiting_until=None)
    last = resolved.events[-1]
    assert isinstance(last, TicketResolved)
    assert last.ended == [ClockEnded(clock="resolution", used=HOUR, target=16 * HOUR, met=True)]


def test_the_same_resolution_again_changes_nothing() -> None:
    given(opened(), resolve(at("10:00"))).when(resolve(at("10:01"))).then_nothing()


def test_satisfaction_goes_to_who_resolved_whatever_came_after() -> None:
    story = given(
        opened(), assign(at("09:10")), resolve(at("10:00"), "ann"), reopen(at("10:30")),
        hand_over(at("10:40"), "records"), assign(at("10:50"), "bob"),
    )  # fmt: skip
    story.when(satisfied(at("11:00"), 4, resolution=1, content=sealed("words"))).then(
        SatisfactionGiven(
            ticket="T1", resolution=1, score=4, resolver="ann", unit="care", content=sealed("words"), by="clerk",
            at=at("11:00"),
        )
    )  # fmt: skip


def test_each_resolution_has_its_own_verdict_and_reopening_keeps_both() -> None:
    story = given(
        opened(), resolve(at("10:00"), "ann"), satisfied(at("10:10"), 1), reopen(at("10:30")),
        resolve(at("11:00"), "bob"),
    )  # fmt: skip
    judged = story.when(satisfied(at("11:10"), 5)).then(
        SatisfactionGiven(ticket="T1", resolution=2, score=5, resolver="bob", unit="care", by="clerk", at=at("11:10"))
    )
    assert judged.ticket is not None
    assert [(done.resolver, done.score) for done in judged.ticket.resolutions] == [("ann", 1), ("bob", 5)]


@pytest.mark.parametrize("score", [1, 5])
def test_satisfaction_after_closing(score: int) -> None:
    given(opened(), resolve(at("10:00")), close(at("10:10"))).when(satisfied(at("11:00"), score)).then_kinds(
        SatisfactionGiven, state="closed"
    )


def test_the_same_verdict_again_changes_nothing() -> None:
    given(opened(), resolve(at("10:00")), satisfied(at("10:10"), 3)).when(satisfied(at("10:20"), 3)).then_nothing()


@pytest.mark.parametrize("closed", [False, True])
def test_reopening_begins_a_fresh_resolution(closed: bool) -> None:
    ended = [close(at("10:30"))] if closed else []
    story = given(opened(), assign(at("09:10")), resolve(at("10:00")), *ended)
    reopened = story.when(reopen(at("11:00"))).then(
        TicketReopened(ticket="T1", content=sealed("why"), by="boss", at=at("11:00")),
        state="assigned", assignee="ann", response=None,
    )  # fmt: skip
    reopened.when(reopen(at("11:01"))).then_nothing()
    again = reopened.when(resolve(at("11:30"))).decided()[0]
    assert isinstance(again, TicketResolved)
    assert again.resolution == 2
    assert again.ended == [ClockEnded(clock="resolution", used=HOUR // 2, target=16 * HOUR, met=True)]


def test_what_nobody_was_assigned_to_is_open_again() -> None:
    given(opened(), resolve(at("10:00"))).when(reopen(at("11:00"))).then_kinds(TicketReopened, state="open")


@pytest.mark.parametrize("closed", [False, True])
def test_a_message_opens_it_again_and_is_owed_an_answer(closed: bool) -> None:
    ended = [close(at("10:30"))] if closed else []
    story = given(opened(), assign(at("09:10")), resolve(at("10:00")), *ended)
    reopened = story.when(message(at("11:00"))).then(
        MessageReceived(ticket="T1", n=1, content=sealed("message"), by="publisher:mail", at=at("11:00")),
        TicketReopened(ticket="T1", by="publisher:mail", at=at("11:00")),
        state="assigned",
    )
    answered = reopened.when(reply(at("11:30"))).decided()[0]
    assert isinstance(answered, TicketReplied)
    assert answered.ended == [ClockEnded(clock="next_response", used=HOUR // 2, target=2 * HOUR, met=True)]


def test_closing_by_hand() -> None:
    closed = given(opened(), resolve(at("10:00"))).when(close(at("10:30"))).then(
        TicketClosed(ticket="T1", cause="by_hand", by="boss", at=at("10:30")), state="closed"
    )  # fmt: skip
    closed.when(close(at("10:31"))).then_nothing()
    assert closed.due is None


def test_it_closes_by_itself_after_the_stated_working_time() -> None:
    resolved = given(opened(), resolve(at("10:00")), under=CLOSING)
    assert resolved.due == at("10:00", days=2)
    resolved.when(time_passes(at("10:00", days=2))).then_nothing()
    resolved.when(time_passes(at("10:00", days=9))).then(
        TicketClosed(ticket="T1", cause="time", by="system", at=at("10:00", days=2)), state="closed"
    )


def test_a_note_does_not_put_off_the_closing() -> None:
    given(opened(), resolve(at("10:00")), note(at("11:00")), under=CLOSING).when(time_passes(at("10:00", days=9))).then(
        TicketClosed(ticket="T1", cause="time", by="system", at=at("10:00", days=2))
    )


def test_a_message_after_the_closing_time_finds_it_closed_and_opens_it() -> None:
    given(opened(), resolve(at("10:00")), under=CLOSING).when(message(at("11:00", days=2))).then_kinds(
        TicketClosed, MessageReceived, TicketReopened, state="open"
    )


def test_merging_ends_the_one_unjudged_and_is_on_the_others_record() -> None:
    merged = given(opened()).when(merge(at("09:30"))).then(
        TicketMerged(ticket="T1", into="T2", by="boss", at=at("09:30")),
        state="merged", merged_into="T2", clocks=(),
    )  # fmt: skip
    assert merged.due is None
    merged.when(time_passes(at("09:00", days=30))).then_nothing()
    merged.when(merge(at("09:40"))).then_nothing()
    absorbing = given(opened(ticket="T2")).when(absorb(at("09:30"), "T1")).then(
        TicketAbsorbed(ticket="T2", other="T1", by="boss", at=at("09:30")), state="open", absorbed=("T1",)
    )  # fmt: skip
    absorbing.when(absorb(at("09:40"), "T1")).then_nothing()


def test_both_sides_of_a_merge_bear_one_instant() -> None:
    one, other = given(opened()).ticket, given(opened(ticket="T2"), note(at("10:00"))).ticket
    assert one is not None
    assert other is not None
    merged, absorbed = decide_merge(one, PLAIN, other, PLAIN, merge(at("09:30")))
    assert merged[-1] == TicketMerged(ticket="T1", into="T2", by="boss", at=at("10:00"))
    assert absorbed == [TicketAbsorbed(ticket="T2", other="T1", by="boss", at=at("10:00"))]


def test_what_fell_due_before_a_merge_is_said_first() -> None:
    given(opened()).when(merge(at("10:30"))).then_kinds(ClockWarned, ClockBreached, TicketMerged)


def test_the_same_merge_again_changes_nothing_though_the_other_went_on_elsewhere() -> None:
    one = given(opened(), merge(at("09:30"))).ticket
    other = given(opened(ticket="T2"), absorb(at("09:30"), "T1"), merge(at("09:40"), into="T3")).ticket
    assert one is not None
    assert other is not None
    assert decide_merge(one, PLAIN, other, PLAIN, merge(at("09:50"))) == ([], [])


@pytest.mark.parametrize("which", ["one", "other"])
def test_neither_side_of_a_merge_may_be_done_with(which: str) -> None:
    done = resolve(at("09:10"))
    one = given(opened(), *([done] if which == "one" else [])).ticket
    other = given(opened(ticket="T2"), *([done] if which == "other" else [])).ticket
    assert one is not None
    assert other is not None
    with pytest.raises(Refusal, match="only tickets that are worked on are merged"):
        decide_merge(one, PLAIN, other, PLAIN, merge(at("09:30")))


def test_credit_stays_with_the_unit_of_the_resolution() -> None:
    story = given(opened(), resolve(at("10:00")), reopen(at("10:10")))
    moved = story.when(hand_over(at("10:20"))).then_kinds(TicketHandedOver, unit="records")
    second = moved.when(resolve(at("10:30"), "bob")).decided()[0]
    assert isinstance(second, TicketResolved)
    assert (second.unit, second.by) == ("records", "bob")
    assert moved.ticket is not None
    assert moved.ticket.resolutions[0].unit == "care"
    assert decide(moved.ticket, satisfied(at("10:25"), 2, 1), PLAIN)[0] == SatisfactionGiven(
        ticket="T1", resolution=1, score=2, resolver="ann", unit="care", by="clerk", at=at("10:25")
    )
