"""Care around the tickets, in the same ledger: topics, projects, return visits, needs, cases, reports, saved queues.

Sources: handbook H-52 (return visits), H-53 (complaint statistics, concentration, reports), H-50 and H-60 (needs).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.customers import Sealed

VisitTrigger = Literal["every_days", "after_complaint"]
NeedOutcome = Literal["accepted", "declined", "planned", "delivered"]


class CareModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectDefined(CareModel):
    event_type: ClassVar[str] = "tickets.project_defined.v1"
    project: str
    name_zh: str
    name_en: str
    unit: str | None = None
    retired: bool = False


class TopicDefined(CareModel):
    """A topic of the tree: what tickets are about."""

    event_type: ClassVar[str] = "tickets.topic_defined.v1"
    topic: str
    name_zh: str
    name_en: str
    parent: str | None = None
    order: int = 0
    retired: bool = False


class VisitRuleDefined(CareModel):
    """Visits that schedule themselves: each customer of a project every `days` days, or `days` days after a complaint
    is resolved. `project` None = every project. A customer of a project has had a ticket in it or is named."""

    event_type: ClassVar[str] = "tickets.visit_rule_defined.v1"
    rule: str
    trigger: VisitTrigger
    days: int = Field(ge=1, le=3660)
    project: str | None = None
    customers: list[str] = Field(default_factory=list)
    unit: str
    person: str | None = None
    since: date
    ended: bool = False
    by: str
    at: datetime


class VisitScheduled(CareModel):
    event_type: ClassVar[str] = "tickets.visit_scheduled.v1"
    visit: str
    customer: str
    project: str | None = None
    ticket: str | None = None
    rule: str | None = None
    due: date  # missed when this local day has passed
    unit: str
    person: str | None = None
    by: str
    at: datetime


class VisitAssigned(CareModel):
    event_type: ClassVar[str] = "tickets.visit_assigned.v1"
    visit: str
    person: str
    by: str
    at: datetime


class VisitDone(CareModel):
    """The visit took place: what came of it and what the customer needs (sealed), and how satisfied they are."""

    event_type: ClassVar[str] = "tickets.visit_done.v1"
    visit: str
    content: Sealed
    satisfaction: int | None = Field(default=None, ge=1, le=5)
    late: bool  # done after its due day, having been missed
    unit: str
    project: str | None = None
    by: str
    at: datetime


class VisitMissed(CareModel):
    """The due day passed without the visit; `at` = the end of that local day. It may still be done, late."""

    event_type: ClassVar[str] = "tickets.visit_missed.v1"
    visit: str
    person: str | None
    unit: str
    project: str | None = None
    at: datetime


class VisitCancelled(CareModel):
    event_type: ClassVar[str] = "tickets.visit_cancelled.v1"
    visit: str
    cause: Literal["by_hand", "customer_declined", "customer_erased", "rule_ended"]
    by: str
    at: datetime


class NeedCollected(CareModel):
    event_type: ClassVar[str] = "tickets.need_collected.v1"
    need: str
    customer: str
    ticket: str | None = None
    visit: str | None = None
    project: str | None = None
    tags: list[str] = Field(default_factory=list)
    content: Sealed
    unit: str
    by: str
    at: datetime


class NeedTagged(CareModel):
    event_type: ClassVar[str] = "tickets.need_tagged.v1"
    need: str
    tags: list[str]
    by: str
    at: datetime


class NeedHandedOver(CareModel):
    """Handed to the product manager (H-60)."""

    event_type: ClassVar[str] = "tickets.need_handed_over.v1"
    need: str
    to: str
    by: str
    at: datetime


class NeedDecided(CareModel):
    """What became of it; `declined` and `delivered` end it."""

    event_type: ClassVar[str] = "tickets.need_decided.v1"
    need: str
    outcome: NeedOutcome
    content: Sealed | None = None
    by: str
    at: datetime


class ConcentrationRaised(CareModel):
    """Complaints about a topic exceed their own past's control limit: a case is opened by the system itself."""

    event_type: ClassVar[str] = "tickets.concentration_raised.v1"
    case: str
    topic: str
    project: str | None = None
    month: str  # "2026-10"
    count: int
    expected: str  # mean of the months before, exact fraction
    limit: int  # the smallest count that raises
    months: int  # how many months before were compared
    unit: str | None = None
    at: datetime


class CaseCoordinated(CareModel):
    """Who takes the concentration in hand, and the guidance given (about the topic; names nobody)."""

    event_type: ClassVar[str] = "tickets.case_coordinated.v1"
    case: str
    person: str
    unit: str
    guidance: str = Field(max_length=5000)
    by: str
    at: datetime


class CaseEnded(CareModel):
    event_type: ClassVar[str] = "tickets.case_ended.v1"
    case: str
    outcome: Literal["solved", "no_cause_found", "accepted"]
    findings: str = Field(default="", max_length=5000)
    by: str
    at: datetime


class ComplaintReportSubmitted(CareModel):
    """A unit's monthly complaint report (H-53) was handed in; `due` = the last instant in time."""

    event_type: ClassVar[str] = "tickets.complaint_report_submitted.v1"
    unit: str
    month: str  # "2026-10"
    complaints: int
    remarks: str = Field(default="", max_length=5000)
    due: datetime
    in_time: bool
    positions: dict[str, int] = Field(default_factory=dict)
    by: str
    at: datetime


class QueueSaved(CareModel):
    """A search kept under a name: for its owner, or for a unit."""

    event_type: ClassVar[str] = "tickets.queue_saved.v1"
    queue: str
    name: str = Field(min_length=1, max_length=100)
    owner: str
    unit: str | None = None
    query: dict[str, Any]
    deleted: bool = False
    by: str
    at: datetime


CareEvent = (
    ProjectDefined
    | TopicDefined
    | VisitRuleDefined
    | VisitScheduled
    | VisitAssigned
    | VisitDone
    | VisitMissed
    | VisitCancelled
    | NeedCollected
    | NeedTagged
    | NeedHandedOver
    | NeedDecided
    | ConcentrationRaised
    | CaseCoordinated
    | CaseEnded
    | ComplaintReportSubmitted
    | QueueSaved
)
