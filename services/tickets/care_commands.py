"""What may be asked of the care around the tickets: frozen data; who asks and the moment come with it.

`at` is UTC; content is sealed already. Nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from contracts.care import NeedOutcome
from contracts.customers import Sealed
from services.tickets.care_domain import Project, Topic, VisitRule

CancelCause = Literal["by_hand", "customer_declined", "customer_erased", "rule_ended"]
CaseOutcome = Literal["solved", "no_cause_found", "accepted"]

SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class DefineProject:
    project: Project


@dataclass(frozen=True, slots=True)
class DefineTopic:
    """`above`: the topics above it as they would be: its parent, the parent's parent, .. up to a root."""

    topic: Topic
    above: tuple[Topic, ...] = ()


@dataclass(frozen=True, slots=True)
class DefineVisitRule:
    rule: VisitRule  # `at` is the command's
    by: str


@dataclass(frozen=True, slots=True)
class ScheduleVisit:
    visit: str
    customer: str
    project: str | None
    ticket: str | None
    rule: str | None
    due: date
    unit: str
    person: str | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AssignVisit:
    person: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DoVisit:
    content: Sealed
    satisfaction: int | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PassTime:
    """Nobody did anything; time went on until `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class CancelVisit:
    cause: CancelCause
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CollectNeed:
    need: str
    customer: str
    ticket: str | None
    visit: str | None
    project: str | None
    tags: tuple[str, ...]
    content: Sealed
    unit: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TagNeed:
    tags: tuple[str, ...]
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class HandOverNeed:
    to: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DecideNeed:
    outcome: NeedOutcome
    content: Sealed | None
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RaiseConcentration:
    """`expected`: the mean of the `months` before; `limit`: the smallest count that raises (statistics_rules)."""

    case: str
    topic: str
    project: str | None
    month: str
    count: int
    expected: str
    limit: int
    months: int
    unit: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class CoordinateCase:
    person: str
    unit: str
    guidance: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EndCase:
    outcome: CaseOutcome
    findings: str
    by: str
    at: datetime


@dataclass(frozen=True)
class SubmitReport:
    """`complaints`: what the statistics showed at `positions`."""

    unit: str
    month: str
    complaints: int
    remarks: str
    positions: dict[str, int]
    by: str
    at: datetime


@dataclass(frozen=True)
class SaveQueue:
    queue: str
    name: str
    unit: str | None
    query: dict[str, Any]
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DeleteQueue:
    by: str
    at: datetime


CareCommand = (
    DefineProject
    | DefineTopic
    | DefineVisitRule
    | ScheduleVisit
    | AssignVisit
    | DoVisit
    | PassTime
    | CancelVisit
    | CollectNeed
    | TagNeed
    | HandOverNeed
    | DecideNeed
    | RaiseConcentration
    | CoordinateCase
    | EndCase
    | SubmitReport
    | SaveQueue
    | DeleteQueue
)
