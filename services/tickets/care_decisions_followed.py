"""Decisions about what is followed to its end: needs, concentration cases, monthly reports; and saved queues. Pure.

Sources: handbook H-53 (reports, concentration), H-60 (needs handed to the product manager).
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

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
    QueueSaved,
)
from services.kernel.errors import Refusal
from services.tickets.care_commands import (
    CollectNeed,
    CoordinateCase,
    DecideNeed,
    DeleteQueue,
    EndCase,
    HandOverNeed,
    RaiseConcentration,
    SaveQueue,
    SubmitReport,
    TagNeed,
)
from services.tickets.care_decisions_shared import check_line, not_in_this_state, unknown
from services.tickets.care_domain import Case, Need, Queue, Report

REPORT_DAYS = 5  # a month's report is in time until the end of this day of the next month (local)
MOST_TAGS = 20
MOST_QUERY = 10_000  # characters of a queue's query
TAG = re.compile(r"[^\s,\x00-\x1f\x7f]{1,40}")
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
ENDED = ("declined", "delivered")  # the outcomes that end a need
ENDED_REMEDY = "It has come to its end; collect a new need."
AFTER = {  # what may follow: a need goes forward only, and ends once
    "handed_over": ("accepted", "declined", "planned", "delivered"),
    "accepted": ("declined", "planned", "delivered"),
    "planned": ("declined", "delivered"),
}


def decide_need(need: Need | None, command: CollectNeed | TagNeed | HandOverNeed | DecideNeed) -> list[CareEvent]:
    """Return what follows: collected, tagged at any time, handed over, decided in the order of AFTER."""
    if isinstance(command, CollectNeed):
        return _collect(need, command)
    assert need is not None  # noqa: S101 - `there` has refused
    at = max(command.at, need.last)
    if need.state in ENDED and not isinstance(command, DecideNeed):
        raise not_in_this_state(need.need, need.state, ENDED_REMEDY)
    match command:
        case TagNeed():
            tags = _tags(command.tags)
            if tags == list(need.tags):
                return []
            return [NeedTagged(need=need.need, tags=tags, by=command.by, at=at)]
        case HandOverNeed():
            check_line(command.to, "to")
            if need.to == command.to:
                return []
            if need.state not in ("collected", "handed_over"):
                raise not_in_this_state(need.need, need.state, "It is decided already; decide further.")
            return [NeedHandedOver(need=need.need, to=command.to, by=command.by, at=at)]
        case DecideNeed():
            return _decided(need, command, at)
        case _:
            assert_never(command)


def _decided(need: Need, command: DecideNeed, at: datetime) -> list[CareEvent]:
    if need.state == "collected":
        raise not_in_this_state(need.need, need.state, "Hand it over to the product manager first.")
    if need.state == command.outcome:
        return []
    following = AFTER.get(need.state, ())
    if command.outcome not in following:
        remedy = f"What may follow: {', '.join(following)}." if following else ENDED_REMEDY
        raise not_in_this_state(need.need, need.state, remedy)
    return [NeedDecided(need=need.need, outcome=command.outcome, content=command.content, by=command.by, at=at)]


def _collect(need: Need | None, command: CollectNeed) -> list[CareEvent]:
    if need is not None:
        raise Refusal("need_exists", f"{need.need} has been collected", status=409, field="need")
    check_line(command.unit, "unit")
    return [
        NeedCollected(
            need=command.need,
            customer=command.customer,
            ticket=command.ticket,
            visit=command.visit,
            project=command.project,
            tags=_tags(command.tags),
            content=command.content,
            unit=command.unit,
            by=command.by,
            at=command.at,
        )
    ]


def _tags(tags: tuple[str, ...]) -> list[str]:
    """Return the tags in order, each once. They are not sealed, so they are words and no sentences."""
    if len(set(tags)) > MOST_TAGS or not all(TAG.fullmatch(tag) for tag in tags):
        raise Refusal(
            "bad_tags",
            f"at most {MOST_TAGS} tags, each one word of at most 40 characters",
            status=422,
            field="tags",
            remedy="Write about the customer in the text, which is sealed, not in a tag.",
        )
    return sorted(set(tags))


def decide_case(case: Case | None, command: RaiseConcentration | CoordinateCase | EndCase) -> list[CareEvent]:
    """Return what follows: raised once, coordinated (again, when guidance or person change), ended once."""
    if isinstance(command, RaiseConcentration):
        return [] if case is not None else [_raised(command)]  # a month's case of a topic is raised once
    assert case is not None  # noqa: S101 - `there` has refused
    at = max(command.at, case.last)
    match command:
        case CoordinateCase():
            if case.state == "ended":
                raise not_in_this_state(case.case, case.state, "It is over; the next month may raise another.")
            check_line(command.person, "person")
            check_line(command.unit, "unit")
            _bounded(command.guidance, "guidance")
            if (case.person, case.unit, case.guidance) == (command.person, command.unit, command.guidance):
                return []
            return [
                CaseCoordinated(
                    case=case.case,
                    person=command.person,
                    unit=command.unit,
                    guidance=command.guidance,
                    by=command.by,
                    at=at,
                )
            ]
        case EndCase():
            if case.state == "ended":
                raise not_in_this_state(case.case, case.state, "It has been ended.")
            if case.state == "raised" and command.outcome == "solved":
                raise not_in_this_state(case.case, case.state, "Say first who takes it in hand, and the guidance.")
            _bounded(command.findings, "findings")
            return [CaseEnded(case=case.case, outcome=command.outcome, findings=command.findings, by=command.by, at=at)]
        case _:
            assert_never(command)


def _raised(command: RaiseConcentration) -> ConcentrationRaised:
    return ConcentrationRaised(
        case=command.case,
        topic=command.topic,
        project=command.project,
        month=command.month,
        count=command.count,
        expected=command.expected,
        limit=command.limit,
        months=command.months,
        unit=command.unit,
        at=command.at,
    )


def _bounded(text: str, field: str) -> None:
    if len(text) > 5000 or "\0" in text:
        raise Refusal("bad_text", f"{field} has 5000 characters at most and no U+0000", status=422, field=field)


def report_due(month: str, zone: ZoneInfo) -> datetime:
    """Return the last instant (UTC) in which a month's report is in time. Refusal `bad_month`."""
    over = month_over(month) + timedelta(days=REPORT_DAYS)
    return datetime.combine(over, time(0), zone).astimezone(UTC) - timedelta(seconds=1)


def month_over(month: str) -> date:
    """Return the first day after a month. Refusal `bad_month`."""
    if not MONTH.fullmatch(month) or not 1 <= int(month[:4]) <= 9998:
        raise Refusal(
            "bad_month", f"{month!r} is no month", status=422, field="month", remedy='Write it like "2026-10".'
        )
    year, number = int(month[:4]), int(month[5:])
    return date(year + number // 12, number % 12 + 1, 1)


def submit_report(known: Report | None, command: SubmitReport, zone: ZoneInfo) -> list[CareEvent]:
    """Return the submission, judged by the second; a unit hands in a month's report once, and when it is over."""
    check_line(command.unit, "unit")
    _bounded(command.remarks, "remarks")
    due = report_due(command.month, zone)
    if known is not None:
        if known.remarks == command.remarks:
            return []
        raise Refusal(
            "report_submitted",
            f"{command.unit} has handed in its report of {command.month}",
            status=409,
            field="month",
            remedy="It stands as it was handed in; say more in the next one.",
        )
    if command.at.astimezone(zone).date() < month_over(command.month):
        raise Refusal(
            "month_not_over", f"{command.month} is not over", status=409, field="month", remedy="Wait for its end."
        )
    return [
        ComplaintReportSubmitted(
            unit=command.unit,
            month=command.month,
            complaints=command.complaints,
            remarks=command.remarks,
            due=due,
            in_time=command.at <= due,
            positions=command.positions,
            by=command.by,
            at=command.at,
        )
    ]


def decide_queue(queue: Queue | None, command: SaveQueue | DeleteQueue) -> list[CareEvent]:
    """Return what follows: a queue is its owner's; deleted it may be saved anew by them."""
    if isinstance(command, DeleteQueue):
        if queue is None:
            raise unknown("queue")
        _check_owner(queue, command.by)
        if queue.deleted:
            return []
        return [_saved(queue.queue, queue.name, queue.unit, queue.query, command, deleted=True)]
    check_line(command.name, "name")
    if len(command.name) > 100:
        raise Refusal("bad_text", "a queue's name has 100 characters at most", status=422, field="name")
    if "text" in command.query:
        raise Refusal(
            "bad_query", "words that are looked for may name a customer, and a queue stands in the ledger for ever",
            status=422, field="query.text", remedy="Leave the text out; search for it each time.",
        )  # fmt: skip
    written = json.dumps(command.query)
    if len(written) > MOST_QUERY or "\\u0000" in written:
        raise Refusal(
            "bad_query", f"a query has {MOST_QUERY} characters at most and no U+0000", status=422, field="query"
        )
    if queue is not None:
        _check_owner(queue, command.by)
        if (queue.name, queue.unit, queue.query, queue.deleted) == (command.name, command.unit, command.query, False):
            return []
    return [_saved(command.queue, command.name, command.unit, command.query, command)]


def _check_owner(queue: Queue, by: str) -> None:
    if queue.owner != by:
        raise Refusal(
            "not_allowed",
            f"{queue.queue} is {queue.owner}'s",
            status=403,
            remedy="Save the search as a queue of your own.",
        )


def _saved(
    queue: str,
    name: str,
    unit: str | None,
    query: dict[str, object],
    command: SaveQueue | DeleteQueue,
    *,
    deleted: bool = False,
) -> QueueSaved:
    return QueueSaved(
        queue=queue,
        name=name,
        owner=command.by,
        unit=unit,
        query=query,
        deleted=deleted,
        by=command.by,
        at=command.at,
    )
