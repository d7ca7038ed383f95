"""The schedule of return visits (handbook H-52): which visits a rule asks for, and which of those planned it asks for
no more. Pure: days and instants come in, so that it is the same schedule however late anybody wakes to carry it out.

A definition of a rule speaks of the days after the day it was given on. Each of its visits has an id that follows from
the definition, the customer and the day, so that a visit asked for twice is there once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.tickets.care_commands import SYSTEM, ScheduleVisit
from services.tickets.care_domain import VisitRule

AHEAD = 14  # days before its due day that a rule's visit is on the list


@dataclass(frozen=True, slots=True)
class Source:
    """Why a customer is visited: they belong to a project `since` an instant (None: named in the rule, from the start),
    or their complaint's `resolution` was reached then. `last`: the latest due day that this definition has scheduled.
    """

    customer: str
    project: str | None
    since: datetime | None = None
    ticket: str | None = None
    resolution: int | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A visit of the rule that is planned and not yet due to be missed."""

    visit: str
    customer: str
    project: str | None
    ticket: str | None
    due: date


Key = tuple[str, str | None, str | None, date]  # customer, project, ticket, due


def begins(rule: VisitRule, zone: ZoneInfo) -> date:
    """Return the first due day that a definition speaks of."""
    return rule.at.astimezone(zone).date() + timedelta(days=1)


def dues(rule: VisitRule, source: Source, since: date, until: date, zone: ZoneInfo) -> Iterator[date]:
    """Yield the due days of a source from `since` to `until`, both included, in order."""
    if rule.ended:
        return
    if rule.trigger == "after_complaint":
        if source.since is None:
            return
        reached = source.since.astimezone(zone).date()
        due = reached + timedelta(days=rule.days)
        if reached >= rule.since and since <= due <= until:
            yield due
        return
    joined = rule.since if source.since is None else source.since.astimezone(zone).date()
    anchor = max(rule.since, joined)
    turn = max(1, -(-(since - anchor).days // rule.days))  # the first turn at or after `since`
    due = anchor + timedelta(days=turn * rule.days)
    while due <= until:
        yield due
        due += timedelta(days=rule.days)


def schedule(
    rule: VisitRule, sources: Iterable[Source], standing: Collection[Key], today: date, zone: ZoneInfo
) -> list[ScheduleVisit]:
    """Return the visits that are to be there by `today` and are not: due up to AHEAD days from it.

    `standing`: visits of former definitions that the present one takes over as they are.
    """
    first, until = begins(rule, zone), today + timedelta(days=AHEAD)
    wanted: list[ScheduleVisit] = []
    for source in sources:
        since = first if source.last is None else max(first, source.last + timedelta(days=1))
        wanted += [
            _visit(rule, source, due, zone)
            for due in dues(rule, source, since, until, zone)
            if (source.customer, source.project, source.ticket, due) not in standing
        ]
    return wanted


def given_up(rule: VisitRule, sources: Iterable[Source], planned: Iterable[Planned], zone: ZoneInfo) -> list[str]:
    """Return the planned visits, due in the days that the rule's definition speaks of, that it does not ask for."""
    first = begins(rule, zone)
    asking: dict[tuple[str, str | None, str | None], Source] = {}
    for source in sources:
        asking[source.customer, source.project, source.ticket] = source
    no_more: list[str] = []
    for visit in planned:
        if visit.due < first:
            continue  # what a former definition asked for stays as it was
        asked = asking.get((visit.customer, visit.project, visit.ticket))
        if asked is None or visit.due not in dues(rule, asked, visit.due, visit.due, zone):
            no_more.append(visit.visit)
    return no_more


def visit_id(rule: VisitRule, source: Source, due: date) -> str:
    """Return the id of a rule's visit: "VR" and 16 hexadecimal digits of what makes it this one."""
    resolution = "" if source.resolution is None else str(source.resolution)
    parts = (rule.rule, rule.at.isoformat(), source.customer, source.project, source.ticket, resolution)
    text = "\x1f".join([*(part or "" for part in parts), due.isoformat()])
    return f"VR{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _visit(rule: VisitRule, source: Source, due: date, zone: ZoneInfo) -> ScheduleVisit:
    listed = datetime.combine(due - timedelta(days=AHEAD), time(0), zone).astimezone(UTC)
    reasons = [rule.at, listed, *([source.since] if source.since else [])]
    return ScheduleVisit(
        visit=visit_id(rule, source, due),
        customer=source.customer,
        project=source.project,
        ticket=source.ticket,
        rule=rule.rule,
        due=due,
        unit=rule.unit,
        person=rule.person,
        by=SYSTEM,
        at=max(reasons).replace(microsecond=0),
    )
