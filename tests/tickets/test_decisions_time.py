"""What time alone brings: warnings, breaches, lapses; exact to the second, once each, however late anybody woke."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.service_levels import CalendarData
from contracts.tickets import (
    ClockBreached,
    ClockEnded,
    ClockWarned,
    MessageReceived,
    NoteAdded,
    OwnershipLapsed,
    PriorityChanged,
    TicketClassified,
    TicketReopened,
    TicketReplied,
    TicketResolved,
    TicketResumed,
    TicketUnassigned,
    TicketWaiting,
)
from services.tickets.domain import Command, Levels
from services.tickets.working_time import WorkingCalendar
from tests.tickets.given import (
    GIVEN_BACK,
    HOUR,
    MINUTE,
    OWNED,
    PROMISES,
    UNTOUCHED,
    assign,
    at,
    classify,
    given,
    hand_over,
    levels,
    message,
    note,
    opened,
    priority,
    reopen,
    reply,
    resolve,
    resume,
    start,
    time_passes,
    unassign,
    wait,
)

SECOND = timedelta(seconds=1)


def warned(clock: str, target: int, when: object, assignee: str | None = None, unit: str = "care") -> ClockWarned:
    told = {"ticket": "T1", "clock": clock, "target": target, "assignee": assignee, "unit": unit, "at": when}
    return ClockWarned.model_validate(told)


def breached(clock: str, target: int, when: object, assignee: str | None = None, unit: str = "care") -> ClockBreached:
    told = {"ticket": "T1", "clock": clock, "target": target, "assignee": assignee, "unit": unit, "at": when}
    return ClockBreached.model_validate(told)


def lapsed(when: object, action: str, person: str = "ann") -> OwnershipLapsed:
    told = {"ticket": "T1", "person": person, "unit": "care", "action": action, "at": when}
    return OwnershipLapsed.model_validate(told)


def test_a_warning_comes_before_the_breach_and_each_at_its_own_instant() -> None:
    story = given(opened())
    assert story.due == at("09:48")
    first = story.when(time_passes(at("09:55"))).then(warned("first_response", HOUR, at("09:48")))
    assert first.due == at("10:00")
    first.when(time_passes(at("16:00"))).then(breached("first_response", HOUR, at("10:00")))


def test_however_late_anybody_woke() -> None:
    story = given(opened())
    both = (warned("first_response", HOUR, at("09:48")), breached("first_response", HOUR, at("10:00")))
    story.when(time_passes(at("18:00"))).then(*both)
    story.when(note(at("18:00"))).then_kinds(ClockWarned, ClockBreached, NoteAdded)


def test_each_is_said_once() -> None:
    story = given(opened(), time_passes(at("18:00")))
    story.when(time_passes(at("18:00"))).then_nothing()
    story.when(time_passes(at("18:30"))).then_nothing()


def test_woken_too_early_nothing_is_said() -> None:
    given(opened()).when(time_passes(at("09:48"))).then_nothing()
    given(opened()).when(time_passes(at("08:00"))).then_nothing()


def test_a_promise_kept_to_the_second_is_kept() -> None:
    kept = given(opened()).when(reply(at("10:00"))).then_kinds(ClockWarned, TicketReplied).events[-1]
    assert isinstance(kept, TicketReplied)
    assert kept.ended == [ClockEnded(clock="first_response", used=HOUR, target=HOUR, met=True)]


def test_a_second_later_it_is_broken() -> None:
    broken = given(opened()).when(reply(at("10:00:01"))).decided()
    assert broken[1] == breached("first_response", HOUR, at("10:00"))
    assert isinstance(broken[-1], TicketReplied)
    assert broken[-1].ended == [ClockEnded(clock="first_response", used=HOUR + 1, target=HOUR, met=False)]


def test_a_reply_that_comes_late_does_not_keep_a_promise_whose_breach_was_said() -> None:
    said = given(opened(), time_passes(at("10:00:01")))
    late = said.when(reply(at("09:59"))).decided()[0]
    assert isinstance(late, TicketReplied)
    assert late.at == at("10:00:01")
    assert late.ended == [ClockEnded(clock="first_response", used=HOUR + 1, target=HOUR, met=False)]


def test_a_target_used_up_as_the_day_ends_is_broken_as_the_next_begins() -> None:
    story = given(opened(at("17:00")))
    story.when(reply(at("08:00", days=1))).then_kinds(ClockWarned, TicketReplied)
    late = story.when(reply(at("09:00:01", days=1))).decided()
    assert late[1] == breached("first_response", HOUR, at("09:00", days=1))


def test_several_clocks_fall_due_in_the_order_of_their_instants() -> None:
    given(opened(), reply(at("09:10")), message(at("09:30", days=1))).when(time_passes(at("18:00", days=4))).then(
        warned("next_response", 2 * HOUR, at("11:06", days=1)),
        breached("next_response", 2 * HOUR, at("11:30", days=1)),
        warned("resolution", 16 * HOUR, at("14:48", days=1)),
        breached("resolution", 16 * HOUR, at("09:00", days=2)),
    )


def test_the_assignee_and_the_unit_of_the_instant_are_named() -> None:
    story = given(opened(), assign(at("09:50")), hand_over(at("09:55")), assign(at("09:57"), "bob"))
    story.when(time_passes(at("11:00"))).then(breached("first_response", HOUR, at("10:00"), "bob", "records"))
    late = given(opened(), assign(at("09:30"))).when(hand_over(at("11:00"))).decided()
    assert late[1] == breached("first_response", HOUR, at("10:00"), "ann", "care")


def test_waiting_for_the_customer_stops_the_resolution_where_it_was() -> None:
    story = given(opened(), reply(at("09:10")), wait(at("10:00")), resume(at("10:00", days=1)))
    assert story.due == at("14:48", days=2)
    resolved = story.when(resolve(at("11:00", days=1))).decided()[0]
    assert isinstance(resolved, TicketResolved)
    assert resolved.ended == [ClockEnded(clock="resolution", used=2 * HOUR, target=16 * HOUR, met=True)]


def test_waiting_for_others_stops_nothing() -> None:
    story = given(opened(), reply(at("09:10")), wait(at("10:00"), on="internal"))
    assert story.due == at("14:48", days=1)


def test_unless_the_version_says_so() -> None:
    story = given(opened(), reply(at("09:10")), wait(at("10:00"), on="internal"), under=levels(pause_on=["internal"]))
    assert story.due is None
    running = story.when(wait(at("11:00"), on="customer")).then_kinds(TicketWaiting)
    assert running.due == at("15:48", days=1), "another wait that stops nothing lets it run again"


def test_a_wait_that_stops_the_resolution_does_not_stop_the_response() -> None:
    story = given(opened(), wait(at("09:10"), on="internal"), under=levels(pause_on=["internal"]))
    story.when(time_passes(at("18:00"))).then_kinds(ClockWarned, ClockBreached)


def test_a_stated_moment_ends_a_wait_and_the_clock_goes_on_from_it() -> None:
    story = given(opened(), reply(at("09:10")), wait(at("10:00"), until=at("22:00")))
    assert story.due == at("22:00")
    story.when(resolve(at("10:00", days=1))).then_kinds(TicketResumed, TicketResolved)
    resolved = story.when(resolve(at("10:00", days=1))).decided()[-1]
    assert isinstance(resolved, TicketResolved)
    assert resolved.ended == [ClockEnded(clock="resolution", used=2 * HOUR, target=16 * HOUR, met=True)]


def test_a_shorter_target_keeps_the_seconds_used() -> None:
    story = given(opened()).when(priority(at("09:20"))).then_kinds(PriorityChanged)
    story.when(time_passes(at("10:00"))).then(
        warned("first_response", 30 * MINUTE, at("09:24")), breached("first_response", 30 * MINUTE, at("09:30"))
    )


def test_a_target_that_is_used_up_already_is_broken_as_the_priority_changes() -> None:
    story = given(opened()).when(priority(at("09:45"))).then_kinds(PriorityChanged)
    assert story.due == at("09:45")
    events = story.when(time_passes(at("09:46"))).decided()
    assert events[-1] == breached("first_response", 30 * MINUTE, at("09:45"))
    assert all(event.at == at("09:45") for event in events)


def test_a_longer_target_may_be_missed_again() -> None:
    story = given(opened(priority="urgent"), time_passes(at("09:40")))
    later = story.when(priority(at("09:40"), "normal")).then_kinds(PriorityChanged)
    later.when(time_passes(at("10:30"))).then(
        warned("first_response", HOUR, at("09:48")), breached("first_response", HOUR, at("10:00"))
    )


def test_a_kind_without_promises_is_never_late() -> None:
    story = given(opened()).when(classify(at("09:20"), "inquiry")).then_kinds(TicketClassified)
    assert story.due is None
    back = story.when(classify(at("09:40"))).then_kinds(TicketClassified)
    assert back.due == at("09:48")


def test_a_reopened_ticket_may_break_its_promise_again() -> None:
    story = given(opened(), reply(at("09:10")), resolve(at("12:00", days=3)), reopen(at("09:00", days=4)))
    breaches = [event for event in story.events if isinstance(event, ClockBreached)]
    assert len(breaches) == 1
    again = story.when(time_passes(at("18:00", days=9))).then_kinds(ClockWarned, ClockBreached)
    assert again.events[-1] == breached("resolution", 16 * HOUR, at("09:00", days=8))


def test_an_untouched_ticket_lapses_and_the_leader_hears_once() -> None:
    story = given(opened(), reply(at("09:05")), assign(at("09:10")), under=OWNED)
    assert story.due == at("14:10")
    told = story.when(time_passes(at("09:00", days=1))).then(
        lapsed(at("14:10"), "tell_leader"), state="assigned", assignee="ann", lapsed=True
    )
    assert told.due == at("14:48", days=1), "what comes next is the resolution's warning"


def test_or_it_goes_back_to_the_unit() -> None:
    story = given(opened(), reply(at("09:05")), assign(at("09:10")), start(at("09:20")), under=GIVEN_BACK)
    story.when(time_passes(at("09:00", days=1))).then(
        lapsed(at("14:20"), "unassign"),
        TicketUnassigned(ticket="T1", person="ann", cause="ownership_timer", by="system", at=at("14:20")),
        state="open", assignee=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "touch",
    [
        reply(at("11:00")),
        note(at("11:00")),
        start(at("11:00")),
        assign(at("11:00"), "bob"),
    ],
)
def test_a_touch_of_the_assignee_begins_the_time_anew(touch: Command) -> None:
    story = given(opened(), reply(at("09:05")), assign(at("09:10")), touch, under=OWNED)
    assert story.due == at("16:00")


@pytest.mark.parametrize(
    "other", [note(at("11:00"), "eve"), message(at("11:00")), priority(at("11:00"), "low"), assign(at("11:00"))]
)
def test_nobody_elses_doing_is_a_touch(other: Command) -> None:
    story = given(opened(), reply(at("09:05")), assign(at("09:10")), other, under=OWNED)
    passed = story.when(time_passes(at("18:00"))).decided()
    assert lapsed(at("14:10"), "tell_leader") in passed


def test_it_lapses_again_only_after_a_touch() -> None:
    story = given(opened(), reply(at("09:05")), assign(at("09:10")), time_passes(at("15:00")), under=OWNED)
    story.when(time_passes(at("12:00", days=1))).then_nothing()
    touched = story.when(note(at("15:00"))).then_kinds(NoteAdded, lapsed=False)
    touched.when(time_passes(at("12:00", days=1))).then(lapsed(at("10:00", days=1), "tell_leader"))


def test_what_waits_is_not_to_be_touched_and_afterwards_the_time_is_whole() -> None:
    story = given(opened(), assign(at("09:10")), reply(at("09:15")), wait(at("09:20")), under=OWNED)
    story.when(time_passes(at("18:00", days=30))).then_nothing()
    resumed = story.when(resume(at("10:00", days=1), "boss")).then_kinds(TicketResumed)
    assert resumed.due == at("15:00", days=1)


def test_what_is_resolved_or_nobodys_does_not_lapse() -> None:
    given(opened(), assign(at("09:10")), resolve(at("09:20")), under=OWNED).when(
        time_passes(at("18:00", days=30))
    ).then_nothing()
    left = given(opened(), assign(at("09:10")), reply(at("09:15")), unassign(at("09:20")), under=OWNED)
    left.when(time_passes(at("18:00"))).then_nothing()


def test_reopening_begins_the_assignees_time_anew() -> None:
    story = given(opened(), assign(at("09:10")), resolve(at("09:20"), "eve"), under=OWNED)
    reopened = story.when(message(at("10:00", days=1))).then_kinds(MessageReceived, TicketReopened)
    passed = reopened.when(time_passes(at("18:00", days=1))).decided()
    assert lapsed(at("15:00", days=1), "tell_leader") in passed


def test_in_a_calendar_without_working_time_nothing_ever_falls_due() -> None:
    closed = CalendarData(week={}, holidays="none")
    promises = PROMISES.model_copy(update={"calendar": closed, "close_after": HOUR, "ownership": UNTOUCHED})
    never = Levels(promises, WorkingCalendar(closed))
    assert given(opened(), assign(at("09:10")), under=never).due is None
    assert given(opened(), resolve(at("09:10")), under=never).due is None
