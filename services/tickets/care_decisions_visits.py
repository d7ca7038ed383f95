"""Decisions about return visits and the rules that schedule them (handbook H-52). Pure.

Time first: a visit whose due day has passed is missed at the very end of that local day, before anything else is
decided about it; it may still be done, late.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from contracts.care import (
    CareEvent,
    VisitAssigned,
    VisitCancelled,
    VisitDone,
    VisitMissed,
    VisitRuleDefined,
    VisitScheduled,
)
from services.kernel.errors import Refusal
from services.tickets.care_commands import (
    AssignVisit,
    CancelVisit,
    DefineVisitRule,
    DoVisit,
    PassTime,
    ScheduleVisit,
)
from services.tickets.care_decisions_shared import check_id, check_line, not_in_this_state
from services.tickets.care_domain import Visit, VisitRule

MOST_CUSTOMERS = 2000  # named in one rule
FURTHEST = timedelta(days=3660)  # that anything is planned ahead


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a local day is over: the next one's beginning, UTC."""
    return datetime.combine(day + timedelta(days=1), time(0), zone).astimezone(UTC)


def define_rule(known: VisitRule | None, command: DefineVisitRule) -> list[CareEvent]:
    new = command.rule
    check_id(new.rule, "rule")
    check_line(new.unit, "unit")
    if not 1 <= new.days <= 3660:
        raise Refusal("bad_days", "a rule's days are 1 to 3660", status=422, field="days")
    if new.since > new.at.date() + FURTHEST:
        raise Refusal("too_far_ahead", "a rule begins within ten years", status=422, field="since")
    if new.customers and new.trigger == "after_complaint":
        raise Refusal(
            "customers_not_for_this_trigger",
            "a visit after a complaint is to whoever complained",
            status=422,
            field="customers",
            remedy="Leave the customers out, or take the trigger every_days.",
        )
    if len(new.customers) > MOST_CUSTOMERS:
        raise Refusal(
            "too_many_customers", f"a rule names {MOST_CUSTOMERS} customers at most", status=422, field="customers"
        )
    if known is None and new.ended:
        raise Refusal("rule_unknown", f"there is no rule {new.rule!r}", status=404, field="rule")
    if known is not None and _same_rule(known, new):
        return []
    # Later than the former definition: its visits are told from the new one's by their instants.
    at = new.at if known is None else max(new.at, known.at + timedelta(seconds=1))
    return [
        VisitRuleDefined(
            rule=new.rule,
            trigger=new.trigger,
            days=new.days,
            project=new.project,
            customers=sorted(set(new.customers)),
            unit=new.unit,
            person=new.person,
            since=new.since,
            ended=new.ended,
            by=command.by,
            at=at,
        )
    ]


def _same_rule(known: VisitRule, new: VisitRule) -> bool:
    def said(rule: VisitRule) -> tuple[object, ...]:
        who = (rule.unit, rule.person, tuple(sorted(set(rule.customers))))
        return (rule.trigger, rule.days, rule.project, rule.since, rule.ended, *who)

    return said(known) == said(new)


def schedule_visit(known: Visit | None, command: ScheduleVisit, zone: ZoneInfo) -> list[CareEvent]:
    if known is not None:
        same = (known.customer, known.project, known.due) == (command.customer, command.project, command.due)
        if same:
            return []  # each visit once: a rule's visit has its id of its due day
        raise Refusal("visit_exists", f"{command.visit} is another visit", status=409, field="visit")
    check_line(command.unit, "unit")
    if command.rule is None and command.due > command.at.date() + FURTHEST:
        raise Refusal("too_far_ahead", "a visit is due within ten years", status=422, field="due")
    if command.rule is None and command.due < command.at.astimezone(zone).date():
        raise Refusal(
            "due_in_the_past",
            f"{command.due} is over",
            status=422,
            field="due",
            remedy="Give today or a later day.",
        )
    return [
        VisitScheduled(
            visit=command.visit,
            customer=command.customer,
            project=command.project,
            ticket=command.ticket,
            rule=command.rule,
            due=command.due,
            unit=command.unit,
            person=command.person,
            by=command.by,
            at=command.at,
        )
    ]


def decide_visit(
    visit: Visit | None, command: AssignVisit | DoVisit | PassTime | CancelVisit, zone: ZoneInfo
) -> list[CareEvent]:
    """Return what the passing of time has made of a visit, and then what the command makes of it."""
    assert visit is not None  # noqa: S101 - `there` has refused
    passed = _time(visit, command.at, zone)
    if isinstance(command, PassTime):
        return [*passed]
    if passed:
        visit = replace(visit, state="missed", last=passed[0].at)
    if visit.state == "cancelled" and isinstance(command, CancelVisit):
        return []
    if visit.state not in ("planned", "missed"):
        raise not_in_this_state(visit.visit, visit.state, "It stays on record; schedule another visit.")
    at = max(command.at, visit.last)
    match command:
        case AssignVisit():
            check_line(command.person, "person")
            if visit.person == command.person:
                return [*passed]
            return [*passed, VisitAssigned(visit=visit.visit, person=command.person, by=command.by, at=at)]
        case DoVisit():
            return [*passed, _done(visit, command, at)]
        case CancelVisit():
            return [*passed, VisitCancelled(visit=visit.visit, cause=command.cause, by=command.by, at=at)]
        case _:
            assert_never(command)


def _time(visit: Visit, at: datetime, zone: ZoneInfo) -> list[VisitMissed]:
    """Return what the passing of time until `at` has made of a visit."""
    over = end_of(visit.due, zone)
    if visit.state != "planned" or at < over:
        return []
    missed = VisitMissed(
        visit=visit.visit,
        person=visit.person,
        unit=visit.unit,
        project=visit.project,
        at=max(over, visit.last),
    )
    return [missed]


def _done(visit: Visit, command: DoVisit, at: datetime) -> VisitDone:
    if command.satisfaction is not None and not 1 <= command.satisfaction <= 5:
        raise Refusal("bad_satisfaction", "satisfaction is 1 to 5", status=422, field="satisfaction")
    return VisitDone(
        visit=visit.visit,
        content=command.content,
        satisfaction=command.satisfaction,
        late=visit.state == "missed",
        unit=visit.unit,
        project=visit.project,
        by=command.by,
        at=at,
    )
