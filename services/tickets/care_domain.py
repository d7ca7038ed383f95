"""Care around the tickets: what a decision about a visit, a need, a case, a report, .. reads.

Frozen data and `evolve`, nothing else: commands are in `care_commands`, decisions in `care_decisions`. Each state is
one aggregate, folded from its own events. Sources: handbook H-50, H-52 (return visits), H-53 (complaint statistics,
concentration), H-60 (needs).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal, assert_never

from contracts.care import (
    CareEvent,
    CaseCoordinated,
    CaseEnded,
    ComplaintReportSubmitted,
    ConcentrationRaised,
    NeedCollected,
    NeedDecided,
    NeedHandedOver,
    NeedTagged,
    ProjectDefined,
    QueueSaved,
    TopicDefined,
    VisitAssigned,
    VisitCancelled,
    VisitDone,
    VisitMissed,
    VisitRuleDefined,
    VisitScheduled,
    VisitTrigger,
)

VisitState = Literal["planned", "missed", "done", "cancelled"]
NeedState = Literal["collected", "handed_over", "accepted", "planned", "declined", "delivered"]
CaseState = Literal["raised", "coordinated", "ended"]


@dataclass(frozen=True, slots=True)
class Project:
    project: str
    name_zh: str
    name_en: str
    unit: str | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    topic: str
    name_zh: str
    name_en: str
    parent: str | None = None
    order: int = 0
    retired: bool = False


@dataclass(frozen=True, slots=True)
class VisitRule:
    """`at`: when this definition was given; it speaks of the days after that day."""

    rule: str
    trigger: VisitTrigger
    days: int
    project: str | None
    customers: tuple[str, ...]
    unit: str
    person: str | None
    since: date
    ended: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Visit:
    """`last`: the instant of its last event; nothing happens to it before that."""

    visit: str
    customer: str
    project: str | None
    due: date
    unit: str
    person: str | None
    state: VisitState
    last: datetime


@dataclass(frozen=True, slots=True)
class Need:
    need: str
    customer: str
    unit: str
    tags: tuple[str, ...]
    state: NeedState
    to: str | None  # whom it was handed to
    last: datetime


@dataclass(frozen=True, slots=True)
class Case:
    case: str
    state: CaseState
    person: str | None
    unit: str | None
    guidance: str
    last: datetime


@dataclass(frozen=True, slots=True)
class Report:
    unit: str
    month: str
    complaints: int
    remarks: str
    in_time: bool


@dataclass(frozen=True)
class Queue:
    queue: str
    name: str
    owner: str
    unit: str | None
    query: dict[str, Any]
    deleted: bool


CareState = Project | Topic | VisitRule | Visit | Need | Case | Report | Queue


def fold(events: Iterable[CareEvent]) -> CareState | None:
    """Return the state that an aggregate's events make; None: there is no such thing yet."""
    state: CareState | None = None
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: CareState | None, event: CareEvent) -> CareState:
    """Return the state after an event of its own aggregate. LookupError: it tells of something that never began."""
    begun = _begin(event)
    if begun is not None:
        return begun
    if isinstance(state, Visit):
        return _visit(state, event)
    if isinstance(state, Need):
        return _need(state, event)
    if isinstance(state, Case):
        return _case(state, event)
    raise LookupError(f"{event.event_type} of something that did not begin")


def _begin(event: CareEvent) -> CareState | None:
    """Return the state that an event makes by itself; None where it changes what is there."""
    match event:
        case ProjectDefined():
            return Project(**event.model_dump())
        case TopicDefined():
            return Topic(**event.model_dump())
        case VisitRuleDefined():
            data = event.model_dump(exclude={"by", "customers"})
            return VisitRule(**data, customers=tuple(event.customers))
        case VisitScheduled():
            planned: VisitState = "planned"
            return Visit(
                event.visit, event.customer, event.project, event.due, event.unit, event.person, planned, event.at
            )
        case NeedCollected():
            return Need(event.need, event.customer, event.unit, tuple(event.tags), "collected", None, event.at)
        case ConcentrationRaised():
            return Case(event.case, "raised", None, event.unit, "", event.at)
        case ComplaintReportSubmitted():
            return Report(event.unit, event.month, event.complaints, event.remarks, event.in_time)
        case QueueSaved():
            return Queue(event.queue, event.name, event.owner, event.unit, event.query, event.deleted)
        case (
            VisitAssigned()
            | VisitDone()
            | VisitMissed()
            | VisitCancelled()
            | NeedTagged()
            | NeedHandedOver()
            | NeedDecided()
            | CaseCoordinated()
            | CaseEnded()
        ):
            return None
        case _:
            assert_never(event)


def _visit(visit: Visit, event: CareEvent) -> Visit:
    match event:
        case VisitAssigned():
            return replace(visit, person=event.person, last=event.at)
        case VisitMissed():
            return replace(visit, state="missed", last=event.at)
        case VisitDone():
            return replace(visit, state="done", last=event.at)
        case VisitCancelled():
            return replace(visit, state="cancelled", last=event.at)
        case _:
            raise LookupError(f"{event.event_type} is nothing that happens to a visit")


def _need(need: Need, event: CareEvent) -> Need:
    match event:
        case NeedTagged():
            return replace(need, tags=tuple(event.tags), last=event.at)
        case NeedHandedOver():
            return replace(need, state="handed_over", to=event.to, last=event.at)
        case NeedDecided():
            return replace(need, state=event.outcome, last=event.at)
        case _:
            raise LookupError(f"{event.event_type} is nothing that happens to a need")


def _case(case: Case, event: CareEvent) -> Case:
    match event:
        case CaseCoordinated():
            return replace(
                case, state="coordinated", person=event.person, unit=event.unit, guidance=event.guidance, last=event.at
            )
        case CaseEnded():
            return replace(case, state="ended", last=event.at)
        case _:
            raise LookupError(f"{event.event_type} is nothing that happens to a case")
