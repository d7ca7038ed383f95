"""Whatever is asked of a ticket, in whatever order and at whatever moment: what always holds.

Commands come at any instants, also ones before the last; versions of service levels differ in what they promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.service_levels import Ownership
from contracts.tickets import (
    ClockBreached,
    ClockEnded,
    ClockWarned,
    MessageReceived,
    NoteAdded,
    OwnershipLapsed,
    PriorityChanged,
    SatisfactionGiven,
    TicketAssigned,
    TicketClassified,
    TicketEvent,
    TicketMerged,
    TicketReopened,
    TicketReplied,
    TicketResolved,
)
from services.kernel.errors import Refusal
from services.tickets.clocks import used_at
from services.tickets.decisions import decide
from services.tickets.decisions_time import next_due
from services.tickets.domain import Command, Levels, PassTime, Ticket, no_levels
from services.tickets.evolve import evolve, fold, target_of
from tests.tickets.given import (
    CALENDAR,
    HOUR,
    absorb,
    assign,
    at,
    classify,
    close,
    hand_over,
    levels,
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
    start,
    time_passes,
    unassign,
    wait,
)

PEOPLE = st.sampled_from(["ann", "bob", "boss"])
WAITS = st.sampled_from(["customer", "third_party", "internal"])
MAKERS: dict[str, Callable[[Any, Any], Command]] = {
    "message": lambda draw, when: message(when),
    "reply": lambda draw, when: reply(when, draw(PEOPLE)),
    "note": lambda draw, when: note(when, draw(PEOPLE)),
    "assign": lambda draw, when: assign(when, draw(PEOPLE)),
    "unassign": lambda draw, when: unassign(when),
    "start": lambda draw, when: start(when, draw(PEOPLE)),
    "wait": lambda draw, when: wait(
        when,
        draw(WAITS),
        draw(PEOPLE),
        until=draw(st.none() | st.integers(-1, 200).map(lambda hours: when + timedelta(hours=hours))),
    ),
    "resume": lambda draw, when: resume(when, draw(PEOPLE)),
    "resolve": lambda draw, when: resolve(when, draw(PEOPLE), draw(st.sampled_from(["solved", "declined"]))),
    "satisfied": lambda draw, when: satisfied(
        when, draw(st.integers(1, 5) | st.integers(0, 6)), draw(st.none() | st.integers(0, 3))
    ),
    "reopen": lambda draw, when: reopen(when),
    "close": lambda draw, when: close(when),
    "hand over": lambda draw, when: hand_over(when, draw(st.sampled_from(["care", "records"]))),
    "classify": lambda draw, when: classify(when, draw(st.sampled_from(["complaint", "inquiry"]))),
    "priority": lambda draw, when: priority(when, draw(st.sampled_from(["urgent", "normal", "low"]))),
    "time": lambda draw, when: time_passes(when),
    "absorb": lambda draw, when: absorb(when, draw(st.sampled_from(["T2", "T3"]))),
    "merge": lambda draw, when: merge(when),
}
USUAL = [name for name in MAKERS if name != "merge"]
OFTEN = [*USUAL, "assign", "wait", "resume", "resolve", "satisfied", "satisfied", "message", "reply", "reply"]


@dataclass(frozen=True)
class Story:
    commands: tuple[Command, ...]
    under: Levels


@st.composite
def stories(draw: Any) -> Story:
    """A ticket's commands over some weeks; most go forward in time, some come late, few are a merge."""
    ownership = st.builds(
        Ownership, seconds=st.sampled_from([HOUR, 6 * HOUR]), action=st.sampled_from(["unassign", "tell_leader"])
    )
    under = levels(
        ownership=draw(st.none() | ownership),
        close_after=draw(st.sampled_from([None, 2 * HOUR, 16 * HOUR])),
        pause_on=draw(st.lists(WAITS, unique=True)),
        warn_percent=draw(st.sampled_from([1, 80, 99])),
    )
    first = opened(at("08:00"), priority=draw(st.sampled_from(["urgent", "normal"])))
    commands: list[Command] = [first]
    seconds = 0
    for _ in range(draw(st.integers(0, 20))):
        seconds += draw(st.sampled_from([0, 1, 600, HOUR, 4 * HOUR, 24 * HOUR, -HOUR]) | st.integers(0, 300 * HOUR))
        name = "merge" if draw(st.integers(0, 39)) == 39 else draw(st.sampled_from(OFTEN))
        commands.append(MAKERS[name](draw, first.at + timedelta(seconds=seconds)))
    return Story(tuple(commands), under)


def told(story: Story, *, punctual: bool = False) -> list[TicketEvent]:
    """Return a story's events, refusals left out. `punctual`: somebody wakes in the second after each due instant."""
    ticket: Ticket | None = None
    events: list[TicketEvent] = []

    def carry_out(command: Command) -> None:
        nonlocal ticket
        decided = decide(ticket, command, story.under)
        ticket = fold(decided, story.under, ticket)
        events.extend(decided)

    for command in story.commands:
        while punctual and ticket is not None:
            due = next_due(ticket, story.under)
            if due is None or due >= command.at:
                break
            carry_out(PassTime(at=due + timedelta(seconds=1)))
        with suppress(Refusal):
            carry_out(command)
    return events


def in_order(story: Story) -> Story:
    """Return the story with its commands coming in the order of their instants."""
    first, *rest = story.commands
    return replace(story, commands=(first, *sorted(rest, key=lambda command: command.at)))


def to_its_end(story: Story) -> Story:
    """Return the story with all that time brings after its last command."""
    latest = max(command.at for command in story.commands)
    return replace(story, commands=(*story.commands, time_passes(latest + timedelta(days=1000))))


def states(events: Sequence[TicketEvent], under: Levels) -> list[Ticket]:
    """Return the ticket after each event."""
    ticket: Ticket | None = None
    passed = []
    for event in events:
        ticket = evolve(ticket, event, under)
        passed.append(ticket)
    return passed


def of_a_run(events: Sequence[TicketEvent]) -> list[tuple[str, int, int, str]]:
    """Return (clock, its run, its promise's number, what was said) of each warning and breach.

    A clock's run ends with an answer; a changed target is another promise.
    """
    runs: Counter[str] = Counter()
    promises = 0
    said: list[tuple[str, int, int, str]] = []
    for event in events:
        match event:
            case TicketReplied() | TicketResolved():
                runs.update(["first_response", "next_response"])
            case TicketReopened():
                runs["resolution"] += 1
            case PriorityChanged() | TicketClassified():
                promises += 1
            case ClockWarned() | ClockBreached():
                said.append((event.clock, runs[event.clock], promises, type(event).__name__))
            case _:
                pass
    return said


WELL = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@WELL
@given(stories())
def test_the_same_commands_give_the_same_events_and_the_events_the_same_ticket(story: Story) -> None:
    events = told(story)
    assert told(story) == events
    read_again = [type(event).model_validate_json(event.model_dump_json()) for event in events]
    assert fold(read_again, story.under) == fold(events, story.under)


@WELL
@given(stories())
def test_no_event_lies_before_the_one_before_it(story: Story) -> None:
    instants = [event.at for event in told(story)]
    assert instants == sorted(instants)
    assert all(instant.microsecond == 0 for instant in instants)


@WELL
@given(stories())
def test_a_clock_warns_and_breaks_at_most_once_a_run_and_always_inside_working_time(story: Story) -> None:
    events = told(story)
    assert max(Counter(of_a_run(events)).values(), default=1) == 1
    for event in events:
        if isinstance(event, ClockWarned | ClockBreached):
            assert CALENDAR.between(event.at, event.at + timedelta(seconds=1)) == 1, "between intervals nothing breaks"


@WELL
@given(stories())
def test_somebody_who_wakes_late_says_what_a_punctual_one_would_have_said(story: Story) -> None:
    """Where commands come in order: one that comes late is taken at the last event, and waking may have made that."""
    story = to_its_end(in_order(story))
    assert told(story) == told(story, punctual=True)


@WELL
@given(stories(), st.lists(st.integers(0, 2000 * HOUR), max_size=12))
def test_waking_early_or_often_changes_nothing(story: Story, wakes: list[int]) -> None:
    woken = [time_passes(story.commands[0].at + timedelta(seconds=seconds)) for seconds in wakes]
    undisturbed = to_its_end(in_order(story))
    disturbed = to_its_end(in_order(replace(story, commands=(*story.commands, *woken))))
    assert told(disturbed) == told(undisturbed)


@WELL
@given(stories())
def test_next_due_is_the_instant_of_the_next_event_that_time_brings(story: Story) -> None:
    ticket = fold(told(story), story.under)
    assert ticket is not None
    due = next_due(ticket, story.under)
    if due is None:
        assert decide(ticket, time_passes(ticket.last_at + timedelta(days=1000)), story.under) == []
        return
    assert due >= ticket.last_at
    assert decide(ticket, time_passes(due), story.under) == []
    assert decide(ticket, time_passes(due + timedelta(seconds=1)), story.under)[0].at == due


@WELL
@given(stories())
def test_what_time_brings_comes_to_an_end(story: Story) -> None:
    events = told(story)
    ticket = fold(events, story.under)
    later = time_passes(events[-1].at + timedelta(days=3000))
    ticket = fold(decide(ticket, later, story.under), story.under, ticket)
    assert ticket is not None
    assert next_due(ticket, story.under) is None


@WELL
@given(stories())
def test_a_verdict_is_given_once_a_resolution_to_who_resolved_it(story: Story) -> None:
    events = told(story)
    resolved = {event.resolution: event for event in events if isinstance(event, TicketResolved)}
    assert list(resolved) == list(range(1, len(resolved) + 1))
    verdicts = [event for event in events if isinstance(event, SatisfactionGiven)]
    assert len({event.resolution for event in verdicts}) == len(verdicts)
    for verdict in verdicts:
        resolution = resolved[verdict.resolution]
        assert (verdict.resolver, verdict.unit) == (resolution.by, resolution.unit)
        assert 1 <= verdict.score <= 5
        assert events.index(resolution) < events.index(verdict)


@WELL
@given(stories())
def test_merged_is_final(story: Story) -> None:
    events = told(story)
    assert not any(isinstance(event, TicketMerged) for event in events[:-1])


@WELL
@given(stories())
def test_messages_replies_and_notes_are_numbered_without_a_gap(story: Story) -> None:
    said = [event.n for event in told(story) if isinstance(event, MessageReceived | TicketReplied | NoteAdded)]
    assert said == list(range(1, len(said) + 1))


@WELL
@given(stories())
def test_a_lapse_comes_only_after_a_touch(story: Story) -> None:
    """Between two lapses lies something that the assignee did, an assignment, or a reopening."""
    since: list[TicketEvent] = []
    assignee: str | None = None
    lapsed = False
    for event, after in zip(events := told(story), states(events, story.under), strict=True):
        if isinstance(event, OwnershipLapsed):
            assert event.person == assignee
            touched = [
                one
                for one in since
                if isinstance(one, TicketAssigned | TicketReopened) or getattr(one, "by", None) == assignee
            ]
            assert touched or not lapsed
            lapsed, since = True, []
        since.append(event)
        assignee = after.assignee


@WELL
@given(stories())
def test_the_ticket_is_of_one_piece_after_every_event(story: Story) -> None:
    """Each state has what belongs to it, and nothing of another."""
    events = told(story)
    for number, (event, ticket) in enumerate(zip(events, states(events, story.under), strict=True)):
        inside_a_commit = isinstance(event, MessageReceived) and number + 1 < len(events)
        assert (ticket.waiting_on is not None) == (ticket.state == "waiting")
        assert ticket.waiting_until is None or ticket.state == "waiting"
        assert ticket.merged_into is None or ticket.state == "merged"
        assert (ticket.resolution is not None) == ticket.is_open
        assert ticket.state != "assigned" or ticket.assignee is not None
        assert (ticket.touched_at is None) == (ticket.assignee is None)
        if not inside_a_commit:
            assert ticket.is_open or ticket.response is None
            assert not (ticket.waiting_on == "customer" and ticket.response)
        if ticket.resolution is not None:
            stopped = ticket.waiting_on is not None and ticket.waiting_on in story.under.pause_on
            assert (ticket.resolution.since is None) == stopped
        assert ticket.response is None or ticket.response.since is not None


@WELL
@given(stories())
def test_a_promise_is_broken_on_record_exactly_when_the_answer_says_so(story: Story) -> None:
    """A clock that ends unmet broke its promise on record before, and one that kept it did not.

    But for a target that was over already when it was set: it breaks as working time goes on, and if the answer comes
    first, only the answer says that it was not met.
    """
    broken: dict[str, int] = {}
    over: set[str] = set()
    events = told(story)
    for event, before in zip(events[1:], states(events, story.under), strict=False):
        match event:
            case ClockBreached():
                broken[event.clock] = event.target
            case PriorityChanged() | TicketClassified():
                for clock in before.clocks:
                    target = target_of(event.targets, clock.kind)
                    if target is not None and used_at(clock, CALENDAR, event.at) > target:
                        over.add(clock.kind)
            case TicketReplied() | TicketResolved():
                for ended in event.ended:
                    _agrees(ended, broken.pop(ended.clock, None), was_over=ended.clock in over)
                    over.discard(ended.clock)
            case _:
                pass


def _agrees(ended: ClockEnded, broken: int | None, *, was_over: bool) -> None:
    if ended.met is False and not was_over:
        assert broken is not None, "an unmet promise was broken at an instant of its own"
    elif ended.met and broken is not None:
        assert ended.target is not None
        assert broken < ended.target, "only an earlier, shorter promise"


@given(st.lists(st.sampled_from(USUAL), max_size=8), st.data())
def test_where_nothing_is_promised_nothing_is_ever_late(names: list[str], data: st.DataObject) -> None:
    commands = [MAKERS[name](data.draw, at("09:00", days=days)) for days, name in enumerate(names)]
    events = told(Story((opened(), *commands), no_levels()))
    assert not any(isinstance(event, ClockWarned | ClockBreached | OwnershipLapsed) for event in events)
