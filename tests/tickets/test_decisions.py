"""A ticket's life, transition by transition: who works on it, what is said in it, where it is passed on to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from contracts.service_levels import Targets
from contracts.tickets import (
    ClockEnded,
    MessageReceived,
    NoteAdded,
    Origin,
    PriorityChanged,
    TicketAssigned,
    TicketClassified,
    TicketHandedOver,
    TicketOpened,
    TicketReplied,
    TicketResumed,
    TicketUnassigned,
    TicketWaiting,
    WorkStarted,
)
from services.tickets.decisions import decide
from services.tickets.domain import no_levels, targets_for
from services.tickets.evolve import evolve
from tests.tickets.given import (
    HOUR,
    PLAIN,
    PROMISES,
    assign,
    at,
    classify,
    given,
    hand_over,
    message,
    note,
    opened,
    priority,
    reply,
    resolve,
    resume,
    sealed,
    start,
    time_passes,
    unassign,
    wait,
)

NORMAL = Targets(first_response=HOUR, next_response=2 * HOUR, resolution=16 * HOUR)
URGENT = Targets(first_response=HOUR // 2, next_response=HOUR, resolution=4 * HOUR)


def test_opening_fixes_the_version_and_its_targets() -> None:
    origin = Origin(source="mail", id="7")
    given().when(opened(at("09:00"), side="inside", topic="billing", project="p", origin=origin)).then(
        TicketOpened(
            ticket="T1", kind="complaint", side="inside", customer="C1", unit="care", project="p", channel="phone",
            topic="billing", priority="normal", content=sealed("opening"), levels=1, targets=NORMAL, origin=origin,
            by="clerk", at=at("09:00"),
        ),
        state="open", assignee=None, levels=1, opened_at=at("09:00"),
    )  # fmt: skip


def test_before_any_service_levels_nothing_is_promised_and_time_is_measured_all_the_same() -> None:
    before = given(opened(), under=no_levels())
    assert before.ticket is not None
    assert before.ticket.levels == 0
    assert before.due is None
    answered = before.when(reply(at("10:00"))).decided()
    assert answered[0] == TicketReplied(
        ticket="T1", n=1, content=sealed("reply"), by="ann", at=at("10:00"),
        ended=[ClockEnded(clock="first_response", used=HOUR, target=None, met=None)],
    )  # fmt: skip


def test_the_first_rule_that_fits_gives_the_targets() -> None:
    assert targets_for(PLAIN, "complaint", "normal") == NORMAL
    assert targets_for(PLAIN, "inquiry", "urgent") == URGENT
    assert targets_for(PLAIN, "inquiry", "low") == Targets()
    assert targets_for(no_levels(), "complaint", "urgent") == Targets()


def test_an_instant_is_cut_to_the_second() -> None:
    broken = datetime(2026, 3, 2, 1, 0, 0, 999_999, UTC)
    given().when(opened(broken)).then_kinds(TicketOpened, opened_at=at("09:00"))


def test_assigning_names_the_person() -> None:
    given(opened()).when(assign(at("09:10"))).then(
        TicketAssigned(ticket="T1", person="ann", by="boss", at=at("09:10")),
        state="assigned", assignee="ann", touched_at=at("09:10"),
    )  # fmt: skip


def test_assigning_the_same_person_again_changes_nothing() -> None:
    given(opened(), assign(at("09:10"))).when(assign(at("09:20"))).then_nothing()


def test_another_person_takes_over_and_has_yet_to_start() -> None:
    given(opened(), assign(at("09:10")), start(at("09:20"))).when(assign(at("09:30"), "bob")).then(
        TicketAssigned(ticket="T1", person="bob", by="boss", at=at("09:30")), state="assigned", assignee="bob"
    )


def test_assigning_a_waiting_ticket_lets_it_wait() -> None:
    waiting = given(opened(), wait(at("09:10"), on="internal"))
    waiting.when(assign(at("09:20"))).then_kinds(TicketAssigned, state="waiting", assignee="ann")


def test_unassigning_leaves_it_to_the_unit() -> None:
    given(opened(), assign(at("09:10")), start(at("09:20"))).when(unassign(at("09:30"))).then(
        TicketUnassigned(ticket="T1", person="ann", cause="by_hand", by="boss", at=at("09:30")),
        state="open", assignee=None, touched_at=None,
    )  # fmt: skip


def test_unassigning_nobody_changes_nothing() -> None:
    given(opened()).when(unassign(at("09:30"))).then_nothing()


def test_unassigning_a_waiting_ticket_lets_it_wait() -> None:
    waiting = given(opened(), assign(at("09:05")), wait(at("09:10"), on="internal"))
    waiting.when(unassign(at("09:20"))).then_kinds(TicketUnassigned, state="waiting", assignee=None)


def test_work_starts() -> None:
    assigned = given(opened(), assign(at("09:10")))
    started = assigned.when(start(at("09:20"))).then(
        WorkStarted(ticket="T1", by="ann", at=at("09:20")), state="in_progress"
    )
    started.when(start(at("09:21"))).then_nothing()


def test_a_colleague_of_the_unit_may_start_on_what_is_nobodys() -> None:
    given(opened()).when(start(at("09:20"), "bob")).then_kinds(WorkStarted, state="in_progress", assignee=None)


def test_the_first_reply_ends_the_first_response_and_work_is_in_progress() -> None:
    given(opened(), assign(at("09:10"))).when(reply(at("09:40"))).then(
        TicketReplied(
            ticket="T1", n=1, content=sealed("reply"), by="ann", at=at("09:40"),
            ended=[ClockEnded(clock="first_response", used=40 * 60, target=HOUR, met=True)],
        ),
        state="in_progress", response=None, last_n=1,
    )  # fmt: skip


def test_a_colleague_may_reply_to_what_is_nobodys() -> None:
    given(opened()).when(reply(at("09:40"), "bob")).then_kinds(TicketReplied, state="open", response=None)


def test_a_second_reply_ends_no_clock() -> None:
    given(opened(), reply(at("09:40"))).when(reply(at("09:50"))).then(
        TicketReplied(ticket="T1", n=2, content=sealed("reply"), ended=[], by="ann", at=at("09:50"))
    )


def test_a_reply_while_it_waits_for_others_lets_it_wait() -> None:
    given(opened(), wait(at("09:10"), on="third_party")).when(reply(at("09:20"))).then_kinds(
        TicketReplied, state="waiting", waiting_on="third_party"
    )


def test_a_further_message_starts_the_next_response() -> None:
    answered = given(opened(), reply(at("09:40")))
    origin = Origin(source="mail", id="8")
    asked = answered.when(message(at("10:00"), origin=origin)).then(
        MessageReceived(ticket="T1", n=2, content=sealed("message"), origin=origin, by="publisher:mail", at=at("10:00"))
    )
    asked.when(reply(at("11:00"))).then(
        TicketReplied(
            ticket="T1", n=3, content=sealed("reply"), by="ann", at=at("11:00"),
            ended=[ClockEnded(clock="next_response", used=HOUR, target=2 * HOUR, met=True)],
        )
    )  # fmt: skip


def test_a_message_before_the_first_reply_starts_no_second_clock() -> None:
    asked = given(opened()).when(message(at("09:10"))).then_kinds(MessageReceived)
    asked.when(message(at("09:20"))).then_kinds(MessageReceived)
    ended = asked.when(reply(at("09:30"))).decided()[0]
    assert isinstance(ended, TicketReplied)
    assert [clock.clock for clock in ended.ended] == ["first_response"]


def test_the_next_response_runs_from_the_first_unanswered_message() -> None:
    asked = given(opened(), reply(at("09:10")), message(at("09:20")), message(at("09:50")))
    ended = asked.when(reply(at("10:20"))).decided()[0]
    assert isinstance(ended, TicketReplied)
    assert ended.ended == [ClockEnded(clock="next_response", used=HOUR, target=2 * HOUR, met=True)]


def test_no_clock_hears_of_a_note() -> None:
    before = given(opened())
    after = before.when(note(at("09:10"))).then(
        NoteAdded(ticket="T1", n=1, content=sealed("note"), by="ann", at=at("09:10")), state="open", last_n=1
    )
    assert before.ticket is not None
    assert after.ticket is not None
    assert after.ticket.clocks == before.ticket.clocks


def test_a_note_may_be_added_after_the_end() -> None:
    given(opened(), resolve(at("10:00"))).when(note(at("10:10"))).then_kinds(NoteAdded, state="resolved")


@pytest.mark.parametrize("on", ["third_party", "internal"])
def test_it_waits_for_others_while_a_response_is_due(on: str) -> None:
    until = at("09:00", days=1)
    given(opened()).when(wait(at("09:10"), on=on, until=until, content=sealed("what for"))).then(
        TicketWaiting.model_validate(
            {"ticket": "T1", "on": on, "until": until, "content": sealed("what for"), "by": "ann", "at": at("09:10")}
        ),
        state="waiting", waiting_on=on, waiting_until=until,
    )  # fmt: skip


def test_it_waits_for_the_customer_once_they_are_answered() -> None:
    given(opened(), reply(at("09:10"))).when(wait(at("09:20"))).then_kinds(
        TicketWaiting, state="waiting", waiting_on="customer"
    )


def test_waiting_for_the_same_again_changes_nothing() -> None:
    waiting = given(opened(), reply(at("09:10")), wait(at("09:20")))
    waiting.when(wait(at("09:30"))).then_nothing()
    waiting.when(wait(at("09:30"), content=sealed("what for"))).then_kinds(TicketWaiting)
    waiting.when(wait(at("09:30"), on="internal")).then_kinds(TicketWaiting, waiting_on="internal")
    waiting.when(wait(at("09:30"), until=at("11:00"))).then_kinds(TicketWaiting, waiting_until=at("11:00"))


def test_it_goes_on_by_hand() -> None:
    waiting = given(opened(), assign(at("09:05")), reply(at("09:10")), wait(at("09:20")))
    resumed = waiting.when(resume(at("09:50"))).then(
        TicketResumed(ticket="T1", cause="by_hand", by="ann", at=at("09:50")),
        state="in_progress", waiting_on=None, waiting_until=None,
    )  # fmt: skip
    resumed.when(resume(at("09:51"))).then_nothing()


def test_what_nobody_is_assigned_to_is_open_after_a_wait() -> None:
    given(opened(), wait(at("09:10"), on="internal")).when(resume(at("09:20"))).then_kinds(TicketResumed, state="open")


def test_it_goes_on_when_the_customer_it_waits_for_writes() -> None:
    waiting = given(opened(), assign(at("09:05")), reply(at("09:10")), wait(at("09:20"), until=at("17:00")))
    waiting.when(message(at("09:50"))).then(
        MessageReceived(ticket="T1", n=2, content=sealed("message"), by="publisher:mail", at=at("09:50")),
        TicketResumed(ticket="T1", cause="customer_message", by="publisher:mail", at=at("09:50")),
        state="in_progress",
    )


def test_a_message_does_not_end_a_wait_for_others() -> None:
    given(opened(), wait(at("09:10"), on="internal")).when(message(at("09:20"))).then_kinds(
        MessageReceived, state="waiting"
    )


def test_it_goes_on_at_the_stated_moment_whatever_comes() -> None:
    waiting = given(opened(), reply(at("09:10")), wait(at("09:20"), until=at("11:00")))
    waiting.when(time_passes(at("11:00"))).then_nothing()
    waiting.when(time_passes(at("17:00"))).then(
        TicketResumed(ticket="T1", cause="time", by="system", at=at("11:00")), state="open"
    )


def test_handing_over_drops_the_assignee_and_names_both_units() -> None:
    given(opened(), assign(at("09:10"))).when(hand_over(at("09:30"))).then(
        TicketHandedOver(
            ticket="T1", from_unit="care", to_unit="records", content=sealed("reason"), by="boss", at=at("09:30")
        ),
        TicketUnassigned(ticket="T1", person="ann", cause="handed_over", by="boss", at=at("09:30")),
        state="open", unit="records", assignee=None,
    )  # fmt: skip


def test_the_clocks_go_on_through_a_hand_over() -> None:
    before = given(opened(), assign(at("09:10")))
    after = before.when(hand_over(at("09:30"))).then_kinds(TicketHandedOver, TicketUnassigned)
    assert before.ticket is not None
    assert after.ticket is not None
    assert after.ticket.clocks == before.ticket.clocks


def test_handing_over_what_is_nobodys() -> None:
    given(opened(), start(at("09:10"))).when(hand_over(at("09:30"))).then_kinds(TicketHandedOver, state="open")


def test_handing_over_to_the_unit_that_has_it_changes_nothing() -> None:
    given(opened()).when(hand_over(at("09:30"), "care")).then_nothing()


def test_another_kind_has_other_targets() -> None:
    given(opened()).when(classify(at("09:30"), "inquiry", "billing", project="p", channel="web")).then(
        TicketClassified(
            ticket="T1", kind="inquiry", topic="billing", project="p", channel="web", targets=Targets(), by="ann",
            at=at("09:30"),
        ),
        kind="inquiry", topic="billing", project="p", channel="web", targets=Targets(),
    )  # fmt: skip


def test_classifying_as_it_stands_changes_nothing() -> None:
    given(opened()).when(classify(at("09:30"))).then_nothing()


def test_a_resolved_ticket_may_still_be_classified() -> None:
    given(opened(), resolve(at("10:00"))).when(classify(at("10:30"), topic="billing")).then_kinds(
        TicketClassified, state="resolved", topic="billing"
    )


def test_another_priority_recomputes_the_targets_from_the_tickets_own_version() -> None:
    changed = given(opened()).when(priority(at("09:10"))).then(
        PriorityChanged(
            ticket="T1", priority="urgent", targets=URGENT, content=sealed("why"), by="boss", at=at("09:10")
        ),
        priority="urgent", targets=URGENT,
    )  # fmt: skip
    changed.when(priority(at("09:20"))).then_nothing()
    ended = changed.when(reply(at("09:20"))).decided()[0]
    assert isinstance(ended, TicketReplied)
    assert ended.ended == [ClockEnded(clock="first_response", used=20 * 60, target=HOUR // 2, met=True)]


def test_a_command_from_before_the_last_event_is_taken_at_that_event() -> None:
    given(opened(), note(at("10:00"))).when(reply(at("09:30"))).then_kinds(TicketReplied, last_at=at("10:00"))


def test_a_ticket_begins_with_its_opening() -> None:
    with pytest.raises(ValueError, match="begins with TicketOpened"):
        evolve(None, WorkStarted(ticket="T1", by="ann", at=at("09:00")), PLAIN)


def test_the_stories_promises_are_a_valid_version() -> None:
    assert type(PROMISES).model_validate_json(PROMISES.model_dump_json()) == PROMISES
    assert decide(None, opened(), PLAIN)
