"""Decisions of the care around the tickets: `decide(state, command, zone)` answers with events or raises a Refusal.

Pure; a case a command, and here the tree of topics and the projects. Sources: handbook H-52, H-53, H-60.
"""

from __future__ import annotations

from typing import assert_never
from zoneinfo import ZoneInfo

from contracts.care import (
    CareEvent,
    ProjectDefined,
    TopicDefined,
)
from services.kernel.errors import Refusal
from services.tickets.care_commands import (
    AssignVisit,
    CancelVisit,
    CareCommand,
    CollectNeed,
    CoordinateCase,
    DecideNeed,
    DefineProject,
    DefineTopic,
    DefineVisitRule,
    DeleteQueue,
    DoVisit,
    EndCase,
    HandOverNeed,
    PassTime,
    RaiseConcentration,
    SaveQueue,
    ScheduleVisit,
    SubmitReport,
    TagNeed,
)
from services.tickets.care_decisions_followed import (
    decide_case,
    decide_need,
    decide_queue,
    submit_report,
)
from services.tickets.care_decisions_shared import check_id, check_line, there
from services.tickets.care_decisions_visits import decide_visit, define_rule, schedule_visit
from services.tickets.care_domain import (
    CareState,
    Case,
    Need,
    Project,
    Queue,
    Report,
    Topic,
    Visit,
    VisitRule,
)

MOST_LEVELS = 20  # of the tree of topics


def decide(state: CareState | None, command: CareCommand, zone: ZoneInfo) -> list[CareEvent]:
    """Return what follows from a command to the aggregate that is at `state`; nothing where nothing would change."""
    match command:
        case DefineProject():
            return _define_project(there(state, Project, command), command)
        case DefineTopic():
            return _define_topic(there(state, Topic, command), command)
        case DefineVisitRule():
            return define_rule(there(state, VisitRule, command), command)
        case ScheduleVisit():
            return schedule_visit(there(state, Visit, command), command, zone)
        case AssignVisit() | DoVisit() | PassTime() | CancelVisit():
            return decide_visit(there(state, Visit, command, needed=True), command, zone)
        case CollectNeed() | TagNeed() | HandOverNeed() | DecideNeed():
            return decide_need(there(state, Need, command, needed=not isinstance(command, CollectNeed)), command)
        case RaiseConcentration() | CoordinateCase() | EndCase():
            return decide_case(there(state, Case, command, needed=not isinstance(command, RaiseConcentration)), command)
        case SubmitReport():
            return submit_report(there(state, Report, command), command, zone)
        case SaveQueue() | DeleteQueue():
            return decide_queue(there(state, Queue, command), command)
        case _:
            assert_never(command)


def _define_project(known: Project | None, command: DefineProject) -> list[CareEvent]:
    new = command.project
    check_id(new.project, "project")
    check_line(new.name_zh, "name_zh")
    check_line(new.name_en, "name_en")
    if known == new:
        return []
    return [
        ProjectDefined(
            project=new.project, name_zh=new.name_zh, name_en=new.name_en, unit=new.unit, retired=new.retired
        )
    ]


def _define_topic(known: Topic | None, command: DefineTopic) -> list[CareEvent]:
    new = command.topic
    check_id(new.topic, "topic")
    check_line(new.name_zh, "name_zh")
    check_line(new.name_en, "name_en")
    _check_above(new, command.above)
    if known == new:
        return []
    return [
        TopicDefined(
            topic=new.topic,
            name_zh=new.name_zh,
            name_en=new.name_en,
            parent=new.parent,
            order=new.order,
            retired=new.retired,
        )
    ]


def _check_above(new: Topic, above: tuple[Topic, ...]) -> None:
    """Refuse a parent that is not there, is retired, or would stand below its own child."""
    if new.parent is not None and (not above or above[0].topic != new.parent) and new.parent != new.topic:
        raise Refusal(
            "topic_unknown",
            f"there is no topic {new.parent!r}",
            status=404,
            field="parent",
            remedy="Define the upper topic first.",
        )
    if new.parent == new.topic or any(topic.topic == new.topic for topic in above):
        raise Refusal(
            "topic_in_a_circle",
            f"{new.topic} would stand below itself",
            status=409,
            field="parent",
            remedy="Move the topic below it somewhere else first.",
        )
    if above and above[0].retired and not new.retired:
        raise Refusal(
            "topic_retired",
            f"{above[0].topic} is retired",
            status=409,
            field="parent",
            remedy="Take a topic that is in use, or bring that one back.",
        )
    if len(above) >= MOST_LEVELS:
        raise Refusal("too_deep", f"topics have {MOST_LEVELS} levels at most", status=422, field="parent")
