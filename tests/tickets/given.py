"""given(what happened).when(a command).then(its events): the words in which the ticket's rules are told.

What happened is told in commands, each decided in turn. Monday 2 March 2026 is the day of every story; hours are local.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from contracts.customers import Sealed
from contracts.service_levels import (
    CalendarData,
    Interval,
    LevelRule,
    Ownership,
    ServiceLevels,
    Targets,
    TicketKind,
)
from contracts.tickets import TicketEvent
from services.kernel.errors import Refusal
from services.tickets.decisions import decide
from services.tickets.decisions_time import next_due
from services.tickets.domain import (
    Absorb,
    AddNote,
    Assign,
    ChangePriority,
    Classify,
    Close,
    Command,
    GiveSatisfaction,
    HandOver,
    Levels,
    Merge,
    OpenTicket,
    PassTime,
    ReceiveMessage,
    Reopen,
    Reply,
    Resolve,
    Resume,
    StartWork,
    Ticket,
    Unassign,
    Wait,
)
from services.tickets.evolve import fold
from services.tickets.working_time import WorkingCalendar

MONDAY = datetime(2026, 3, 2, tzinfo=ZoneInfo("Asia/Shanghai"))
MINUTE, HOUR = 60, 3600
HOURS = [Interval(since=time(9), until=time(12)), Interval(since=time(13), until=time(18))]
WEEK = CalendarData(week={"1": HOURS, "2": HOURS, "3": HOURS, "4": HOURS, "5": HOURS}, holidays="none")
CALENDAR = WorkingCalendar(WEEK)
PROMISES = ServiceLevels(
    title="first",
    version=1,
    effective=datetime(2026, 1, 1, tzinfo=UTC),
    calendar=WEEK,
    rules=[
        LevelRule(
            priorities=["urgent"], targets=Targets(first_response=HOUR // 2, next_response=HOUR, resolution=4 * HOUR)
        ),
        LevelRule(kinds=["inquiry"], targets=Targets()),
        LevelRule(targets=Targets(first_response=HOUR, next_response=2 * HOUR, resolution=16 * HOUR)),
    ],
)


def levels(**changes: Any) -> Levels:
    """Return service levels: the promises of every story, with changes."""
    return Levels(PROMISES.model_copy(update=changes), CALENDAR)


PLAIN = levels()
UNTOUCHED = Ownership(seconds=4 * HOUR, action="tell_leader")
OWNED = levels(ownership=UNTOUCHED)
GIVEN_BACK = levels(ownership=Ownership(seconds=4 * HOUR, action="unassign"))
CLOSING = levels(close_after=16 * HOUR)


def at(hour: str, days: int = 0) -> datetime:
    """Return an hour ("09:30" or "09:30:01") of Monday, or of so many days later."""
    return (datetime.combine(MONDAY + timedelta(days=days), time.fromisoformat(hour), MONDAY.tzinfo)).astimezone(UTC)


def sealed(text: str = "text") -> Sealed:
    return Sealed(customer="C1", box=text)


def opened(when: datetime | None = None, **fields: Any) -> OpenTicket:
    """Ticket T1 of customer C1, a complaint at normal priority by phone, for `care`, Monday 09:00."""
    told: dict[str, Any] = {
        "ticket": "T1", "kind": "complaint", "side": "outside", "customer": "C1", "unit": "care", "channel": "phone",
        "priority": "normal", "content": sealed("opening"), "by": "clerk", "at": when or at("09:00"), **fields,
    }  # fmt: skip
    return OpenTicket(**told)


def message(when: datetime, text: str = "message", **fields: Any) -> ReceiveMessage:
    return ReceiveMessage(**{"content": sealed(text), "by": "publisher:mail", "at": when, **fields})


def reply(when: datetime, by: str = "ann") -> Reply:
    return Reply(content=sealed("reply"), by=by, at=when)


def note(when: datetime, by: str = "ann") -> AddNote:
    return AddNote(content=sealed("note"), by=by, at=when)


def assign(when: datetime, person: str = "ann", by: str = "boss") -> Assign:
    return Assign(person=person, by=by, at=when)


def unassign(when: datetime, by: str = "boss") -> Unassign:
    return Unassign(by=by, at=when)


def start(when: datetime, by: str = "ann") -> StartWork:
    return StartWork(by=by, at=when)


def wait(when: datetime, on: Any = "customer", by: str = "ann", **fields: Any) -> Wait:
    return Wait(**{"on": on, "by": by, "at": when, **fields})


def resume(when: datetime, by: str = "ann") -> Resume:
    return Resume(by=by, at=when)


def resolve(when: datetime, by: str = "ann", outcome: Any = "solved") -> Resolve:
    return Resolve(outcome=outcome, content=sealed("solution"), by=by, at=when)


def satisfied(when: datetime, score: int = 5, resolution: int | None = None, **fields: Any) -> GiveSatisfaction:
    return GiveSatisfaction(**{"score": score, "resolution": resolution, "by": "clerk", "at": when, **fields})


def reopen(when: datetime, by: str = "boss") -> Reopen:
    return Reopen(content=sealed("why"), by=by, at=when)


def close(when: datetime, by: str = "boss") -> Close:
    return Close(by=by, at=when)


def merge(when: datetime, into: str = "T2", customer: str = "C1") -> Merge:
    return Merge(into=into, customer=customer, by="boss", at=when)


def absorb(when: datetime, other: str = "T2", customer: str = "C1") -> Absorb:
    return Absorb(other=other, customer=customer, by="boss", at=when)


def hand_over(when: datetime, to_unit: str = "records") -> HandOver:
    return HandOver(to_unit=to_unit, content=sealed("reason"), by="boss", at=when)


def classify(when: datetime, kind: TicketKind = "complaint", topic: str | None = None, **fields: Any) -> Classify:
    stands: dict[str, Any] = {"kind": kind, "topic": topic, "project": None, "channel": "phone", "by": "ann"}
    return Classify(**{**stands, "at": when, **fields})


def priority(when: datetime, wanted: Any = "urgent") -> ChangePriority:
    return ChangePriority(priority=wanted, content=sealed("why"), by="boss", at=when)


def time_passes(until: datetime) -> PassTime:
    return PassTime(at=until)


@dataclass(frozen=True)
class Given:
    """A ticket's past."""

    events: tuple[TicketEvent, ...]
    levels: Levels

    @property
    def ticket(self) -> Ticket | None:
        return fold(self.events, self.levels)

    @property
    def due(self) -> datetime | None:
        """When time alone brings the next event."""
        assert self.ticket is not None
        return next_due(self.ticket, self.levels)

    def when(self, command: Command) -> When:
        return When(self, command)


@dataclass(frozen=True)
class When:
    """A command on that past."""

    given: Given
    command: Command

    def decided(self) -> list[TicketEvent]:
        return decide(self.given.ticket, self.command, self.given.levels)

    def then(self, *expected: TicketEvent, **state: Any) -> Given:
        """Exactly these events follow, and leave the ticket so. Returns the past with them, to go on from."""
        events = self.decided()
        assert events == list(expected)
        return self._after(events, state)

    def then_kinds(self, *expected: type[Any], **state: Any) -> Given:
        """Events of exactly these kinds follow."""
        events = self.decided()
        assert [type(event).__name__ for event in events] == [kind.__name__ for kind in expected]
        return self._after(events, state)

    def then_nothing(self) -> Given:
        return self.then()

    def then_refused(self, code: str, *, status: int, field: str | None = None, names: str = "") -> None:
        with pytest.raises(Refusal) as refused:
            self.decided()
        assert (refused.value.code, refused.value.status, refused.value.field) == (code, status, field)
        assert refused.value.remedy, "a refusal says what to do"
        assert names in refused.value.detail

    def _after(self, events: list[TicketEvent], state: dict[str, Any]) -> Given:
        after = replace(self.given, events=(*self.given.events, *events))
        for name, value in state.items():
            assert getattr(after.ticket, name) == value, name
        return after


def given(*history: Command, under: Levels = PLAIN) -> Given:
    """Commands that were carried out, one after the other."""
    return Given(tuple(carried_out(history, under)), under)


def carried_out(history: Sequence[Command], under: Levels) -> list[TicketEvent]:
    """Return the events of commands carried out in turn."""
    ticket: Ticket | None = None
    events: list[TicketEvent] = []
    for command in history:
        decided = decide(ticket, command, under)
        ticket = fold(decided, under, ticket)
        events += decided
    return events
