"""Care decided: every transition and every refusal, as given / when / then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

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
)
from contracts.customers import Sealed
from services.kernel.errors import Refusal
from services.tickets import care_commands as ask
from services.tickets.care_decisions import decide
from services.tickets.care_domain import Project, Topic, VisitRule, evolve, fold

ZONE = ZoneInfo("Asia/Shanghai")
BOX = Sealed(customer="C1", box="c2VhbGVk")
DUE = date(2026, 10, 20)
OVER = datetime(2026, 10, 20, 16, tzinfo=UTC)  # the local end of DUE
NOON = datetime(2026, 10, 12, 4, tzinfo=UTC)
LATER = NOON + timedelta(hours=2)


@dataclass
class Story:
    """given(events).when(command).then(events) | .refused(code)"""

    past: tuple[CareEvent, ...]
    events: list[CareEvent] = field(default_factory=list)
    refusal: Refusal | None = None

    def when(self, command: Any) -> Story:
        try:
            self.events = decide(fold(self.past), command, ZONE)
        except Refusal as refusal:
            self.refusal = refusal
        return self

    def then(self, *kinds: type[CareEvent]) -> Story:
        if self.refusal is not None:
            raise self.refusal
        assert [type(event) for event in self.events] == list(kinds)
        state = fold(self.past)
        for event in self.events:  # what is decided can always be taken in
            state = evolve(state, event)
        return self

    def refused(self, code: str, status: int | None = None) -> None:
        assert self.refusal is not None, self.events
        assert self.refusal.code == code
        assert status in (None, self.refusal.status)

    @property
    def first(self) -> Any:
        return self.events[0]

    @property
    def last(self) -> Any:
        return self.events[-1]


def given(*events: CareEvent) -> Story:
    return Story(events)


# --- return visits ---

SCHEDULED = VisitScheduled(
    visit="V1", customer="C1", project="forum", due=DUE, unit="service", person="2001", by="2000", at=NOON
)
MISSED = VisitMissed(visit="V1", person="2001", unit="service", project="forum", at=OVER)
DONE = VisitDone(visit="V1", content=BOX, satisfaction=4, late=False, unit="service", by="2001", at=LATER)
CANCELLED = VisitCancelled(visit="V1", cause="by_hand", by="2000", at=LATER)


def schedule(**other: Any) -> ask.ScheduleVisit:
    command = ask.ScheduleVisit("V1", "C1", "forum", None, None, DUE, "service", "2001", "2000", NOON)
    return replace(command, **other)


def do(at: datetime = LATER, satisfaction: int | None = 5) -> ask.DoVisit:
    return ask.DoVisit(BOX, satisfaction, "2001", at)


def test_a_visit_is_scheduled_by_hand() -> None:
    story = given().when(schedule()).then(VisitScheduled)
    assert story.first == SCHEDULED


def test_a_visit_may_be_due_today() -> None:
    given().when(schedule(due=date(2026, 10, 12))).then(VisitScheduled)


def test_a_visit_by_hand_is_not_due_in_the_past() -> None:
    given().when(schedule(due=date(2026, 10, 11))).refused("due_in_the_past")


def test_a_visit_by_hand_is_due_within_ten_years() -> None:
    given().when(schedule(due=date.max)).refused("too_far_ahead", 422)


def test_a_rule_that_was_woken_late_schedules_all_the_same() -> None:
    given().when(schedule(due=date(2026, 10, 1), rule="r")).then(VisitScheduled)


def test_the_same_visit_scheduled_twice_is_there_once() -> None:
    given(SCHEDULED).when(schedule()).then()
    given(SCHEDULED, CANCELLED).when(schedule()).then()


def test_another_visit_under_the_same_id_is_refused() -> None:
    given(SCHEDULED).when(schedule(customer="C2")).refused("visit_exists", 409)


def test_a_visit_needs_a_unit() -> None:
    given().when(schedule(unit=" ")).refused("bad_text")


def test_a_visit_is_done_in_time() -> None:
    story = given(SCHEDULED).when(do()).then(VisitDone)
    assert (story.first.late, story.first.satisfaction, story.first.unit) == (False, 5, "service")


def test_a_visit_done_in_the_due_days_last_second_is_in_time() -> None:
    assert given(SCHEDULED).when(do(OVER - timedelta(seconds=1))).then(VisitDone).first.late is False


def test_a_visit_done_after_its_due_day_was_missed_first_and_is_late() -> None:
    story = given(SCHEDULED).when(do(OVER)).then(VisitMissed, VisitDone)
    assert story.first.at == OVER
    assert story.last.late is True


def test_a_missed_visit_may_still_be_done_late() -> None:
    assert given(SCHEDULED, MISSED).when(do(OVER + timedelta(days=3))).then(VisitDone).first.late is True


def test_time_that_is_told_late_is_told_with_its_own_instant() -> None:
    story = given(SCHEDULED).when(ask.PassTime(OVER + timedelta(days=40))).then(VisitMissed)
    assert story.first == MISSED


def test_a_due_day_that_is_not_over_is_not_missed() -> None:
    given(SCHEDULED).when(ask.PassTime(OVER - timedelta(seconds=1))).then()


def test_a_visit_is_missed_once() -> None:
    given(SCHEDULED, MISSED).when(ask.PassTime(OVER + timedelta(days=1))).then()


@pytest.mark.parametrize("end", [DONE, CANCELLED])
def test_a_visit_that_has_ended_is_never_missed(end: CareEvent) -> None:
    given(SCHEDULED, end).when(ask.PassTime(OVER + timedelta(days=1))).then()


@pytest.mark.parametrize("end", [DONE, CANCELLED])
def test_a_visit_that_has_ended_is_not_done_again(end: CareEvent) -> None:
    given(SCHEDULED, end).when(do()).refused("not_in_this_state", 409)


@pytest.mark.parametrize("end", [DONE, CANCELLED])
def test_a_visit_that_has_ended_is_not_assigned(end: CareEvent) -> None:
    given(SCHEDULED, end).when(ask.AssignVisit("2002", "2000", LATER)).refused("not_in_this_state", 409)


@pytest.mark.parametrize("score", [0, 6])
def test_satisfaction_is_one_to_five(score: int) -> None:
    given(SCHEDULED).when(do(satisfaction=score)).refused("bad_satisfaction")


def test_satisfaction_may_be_left_out() -> None:
    assert given(SCHEDULED).when(do(satisfaction=None)).then(VisitDone).first.satisfaction is None


def test_a_visit_is_assigned_to_somebody_else() -> None:
    given(SCHEDULED).when(ask.AssignVisit("2002", "2000", LATER)).then(VisitAssigned)
    given(SCHEDULED, MISSED).when(ask.AssignVisit("2002", "2000", LATER)).then(VisitAssigned)


def test_the_one_who_has_the_visit_already_changes_nothing() -> None:
    given(SCHEDULED).when(ask.AssignVisit("2001", "2000", LATER)).then()


def test_a_visit_assigned_after_its_due_day_was_missed_by_the_one_before() -> None:
    story = given(SCHEDULED).when(ask.AssignVisit("2002", "2000", OVER + timedelta(hours=1)))
    assert story.then(VisitMissed, VisitAssigned).first.person == "2001"


def test_a_visit_is_cancelled_planned_or_missed() -> None:
    cancel = ask.CancelVisit("customer_declined", "2000", LATER)
    assert given(SCHEDULED).when(cancel).then(VisitCancelled).first.cause == "customer_declined"
    given(SCHEDULED, MISSED).when(cancel).then(VisitCancelled)


def test_a_cancelled_visit_cancelled_again_changes_nothing() -> None:
    given(SCHEDULED, CANCELLED).when(ask.CancelVisit("by_hand", "2000", LATER)).then()


def test_a_visit_that_took_place_cannot_be_cancelled() -> None:
    given(SCHEDULED, DONE).when(ask.CancelVisit("by_hand", "2000", LATER)).refused("not_in_this_state", 409)


def test_a_command_from_before_the_last_event_is_taken_at_that() -> None:
    story = given(SCHEDULED, MISSED).when(do(NOON)).then(VisitDone)
    assert (story.first.at, story.first.late) == (OVER, True)


@pytest.mark.parametrize(
    "command",
    [do(), ask.AssignVisit("2", "1", NOON), ask.CancelVisit("by_hand", "1", NOON), ask.PassTime(NOON)],
)
def test_a_visit_that_is_not_there_is_unknown(command: Any) -> None:
    given().when(command).refused("visit_unknown", 404)


# --- rules of visits ---

RULE = VisitRule("quarterly", "every_days", 90, "forum", (), "service", None, date(2026, 1, 1), False, NOON)


def define(**other: Any) -> ask.DefineVisitRule:
    return ask.DefineVisitRule(replace(RULE, **other), "2000")


DEFINED = VisitRuleDefined(
    rule="quarterly", trigger="every_days", days=90, project="forum", unit="service", since=date(2026, 1, 1),
    by="2000", at=NOON,
)  # fmt: skip


def test_a_rule_is_defined_changed_and_ended() -> None:
    assert given().when(define()).then(VisitRuleDefined).first == DEFINED
    assert given(DEFINED).when(define(days=30, at=LATER)).then(VisitRuleDefined).first.days == 30
    assert given(DEFINED).when(define(ended=True, at=LATER)).then(VisitRuleDefined).first.ended is True


def test_a_rule_changed_in_the_second_it_was_given_in_is_later_than_itself() -> None:
    assert given(DEFINED).when(define(days=30)).then(VisitRuleDefined).first.at == NOON + timedelta(seconds=1)


def test_a_rule_said_again_changes_nothing() -> None:
    given(DEFINED).when(define(at=LATER)).then()


def test_a_rules_customers_are_a_set() -> None:
    assert given().when(define(customers=("C2", "C1", "C2"))).then(VisitRuleDefined).first.customers == ["C1", "C2"]


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"days": 0}, "bad_days"),
        ({"days": 3661}, "bad_days"),
        ({"since": date.max}, "too_far_ahead"),
        ({"rule": "a b"}, "bad_rule_id"),
        ({"unit": ""}, "bad_text"),
        ({"trigger": "after_complaint", "customers": ("C1",)}, "customers_not_for_this_trigger"),
        ({"customers": tuple(map(str, range(2001)))}, "too_many_customers"),
        ({"ended": True}, "rule_unknown"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(other: dict[str, Any], code: str) -> None:
    given().when(define(**other)).refused(code)


# --- needs ---

COLLECTED = NeedCollected(
    need="N1", customer="C1", ticket="T1", project="forum", tags=["search"], content=BOX, unit="service", by="2001",
    at=NOON,
)  # fmt: skip
HANDED = NeedHandedOver(need="N1", to="3001", by="2001", at=LATER)


def collect(**other: Any) -> ask.CollectNeed:
    command = ask.CollectNeed("N1", "C1", "T1", None, "forum", ("search",), BOX, "service", "2001", NOON)
    return replace(command, **other)


def decided(outcome: Any) -> NeedDecided:
    return NeedDecided(need="N1", outcome=outcome, by="3001", at=LATER)


def test_a_need_is_collected_from_a_ticket_or_a_visit() -> None:
    assert given().when(collect()).then(NeedCollected).first == COLLECTED
    given().when(collect(ticket=None, visit="V1")).then(NeedCollected)


def test_a_need_is_collected_once() -> None:
    given(COLLECTED).when(collect()).refused("need_exists", 409)


@pytest.mark.parametrize("tags", [("two words",), ("",), ("x" * 41,), tuple(map(str, range(21)))])
def test_tags_are_a_few_words(tags: tuple[str, ...]) -> None:
    given().when(collect(tags=tags)).refused("bad_tags")
    given(COLLECTED).when(ask.TagNeed(tags, "2001", LATER)).refused("bad_tags")


def test_tags_are_replaced_and_kept_in_order() -> None:
    story = given(COLLECTED).when(ask.TagNeed(("b", "a", "b"), "2001", LATER)).then(NeedTagged)
    assert story.first.tags == ["a", "b"]
    given(COLLECTED).when(ask.TagNeed(("search",), "2001", LATER)).then()


def test_a_need_is_handed_to_the_product_manager_and_on_to_another() -> None:
    given(COLLECTED).when(ask.HandOverNeed("3001", "2001", LATER)).then(NeedHandedOver)
    given(COLLECTED, HANDED).when(ask.HandOverNeed("3002", "3001", LATER)).then(NeedHandedOver)
    given(COLLECTED, HANDED).when(ask.HandOverNeed("3001", "2001", LATER)).then()


def test_a_need_is_not_decided_before_it_is_handed_over() -> None:
    given(COLLECTED).when(ask.DecideNeed("accepted", None, "3001", LATER)).refused("not_in_this_state", 409)


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        ([], "accepted"),
        ([], "planned"),
        ([], "declined"),
        ([], "delivered"),
        (["accepted"], "planned"),
        (["accepted"], "declined"),
        (["accepted"], "delivered"),
        (["planned"], "declined"),
        (["accepted", "planned"], "delivered"),
    ],
)
def test_a_need_is_followed_to_its_end(before: list[str], outcome: Any) -> None:
    past = [decided(one) for one in before]
    story = given(COLLECTED, HANDED, *past).when(ask.DecideNeed(outcome, BOX, "3001", LATER)).then(NeedDecided)
    assert story.first.outcome == outcome


@pytest.mark.parametrize(
    ("before", "outcome"),
    [("planned", "accepted"), ("declined", "accepted"), ("delivered", "declined"), ("declined", "delivered")],
)
def test_a_need_never_goes_back(before: str, outcome: Any) -> None:
    story = given(COLLECTED, HANDED, decided(before)).when(ask.DecideNeed(outcome, None, "3001", LATER))
    story.refused("not_in_this_state", 409)


def test_the_same_outcome_again_changes_nothing() -> None:
    for outcome in ("accepted", "planned", "declined", "delivered"):
        given(COLLECTED, HANDED, decided(outcome)).when(ask.DecideNeed(outcome, None, "3001", LATER)).then()  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [ask.TagNeed(("x",), "1", LATER), ask.HandOverNeed("3002", "1", LATER)])
def test_a_need_at_its_end_stays_as_it_is(command: Any) -> None:
    given(COLLECTED, HANDED, decided("declined")).when(command).refused("not_in_this_state", 409)


def test_a_need_that_is_decided_is_not_handed_on_but_may_be_tagged() -> None:
    past = (COLLECTED, HANDED, decided("accepted"))
    given(*past).when(ask.HandOverNeed("3002", "3001", LATER)).refused("not_in_this_state", 409)
    given(*past).when(ask.TagNeed(("x",), "2001", LATER)).then(NeedTagged)


def test_a_need_that_is_not_there_is_unknown() -> None:
    given().when(ask.TagNeed(("x",), "1", NOON)).refused("need_unknown", 404)
    given().when(ask.HandOverNeed("3001", "1", NOON)).refused("need_unknown", 404)
    given().when(ask.DecideNeed("accepted", None, "1", NOON)).refused("need_unknown", 404)


# --- concentration cases ---

RAISED = ConcentrationRaised(
    case="K1", topic="login", month="2026-10", count=9, expected="5/2", limit=8, months=12, unit="service", at=NOON
)
COORDINATED = CaseCoordinated(case="K1", person="2001", unit="service", guidance="ask", by="2000", at=LATER)
ENDED = CaseEnded(case="K1", outcome="solved", by="2001", at=LATER)
RAISE = ask.RaiseConcentration("K1", "login", None, "2026-10", 9, "5/2", 8, 12, "service", NOON)


def coordinate(guidance: str = "ask") -> ask.CoordinateCase:
    return ask.CoordinateCase("2001", "service", guidance, "2000", LATER)


def end(outcome: Any = "solved", findings: str = "a wrong link") -> ask.EndCase:
    return ask.EndCase(outcome, findings, "2001", LATER)


def test_the_system_raises_a_concentration_once() -> None:
    assert given().when(RAISE).then(ConcentrationRaised).first == RAISED
    given(RAISED).when(replace(RAISE, count=12)).then()
    given(RAISED, COORDINATED, ENDED).when(RAISE).then()


def test_a_case_is_coordinated_and_its_guidance_changed() -> None:
    given(RAISED).when(coordinate()).then(CaseCoordinated)
    given(RAISED, COORDINATED).when(coordinate("ask twice")).then(CaseCoordinated)
    given(RAISED, COORDINATED).when(coordinate()).then()


def test_a_case_is_ended_with_what_was_found() -> None:
    assert given(RAISED, COORDINATED).when(end()).then(CaseEnded).first.findings == "a wrong link"


def test_a_case_that_nobody_took_in_hand_is_not_solved() -> None:
    given(RAISED).when(end("solved")).refused("not_in_this_state", 409)
    given(RAISED).when(end("no_cause_found")).then(CaseEnded)
    given(RAISED).when(end("accepted")).then(CaseEnded)


def test_a_case_that_is_over_stays_over() -> None:
    given(RAISED, COORDINATED, ENDED).when(coordinate("more")).refused("not_in_this_state", 409)
    given(RAISED, COORDINATED, ENDED).when(end()).refused("not_in_this_state", 409)


def test_long_guidance_and_findings_are_refused() -> None:
    given(RAISED).when(coordinate("x" * 5001)).refused("bad_text")
    given(RAISED).when(coordinate("\0")).refused("bad_text", 422)
    given(RAISED, COORDINATED).when(end(findings="x" * 5001)).refused("bad_text")


def test_a_case_that_is_not_there_is_unknown() -> None:
    given().when(coordinate()).refused("case_unknown", 404)
    given().when(end()).refused("case_unknown", 404)


# --- monthly complaint reports ---

REPORT_DUE = datetime(2026, 11, 5, 15, 59, 59, tzinfo=UTC)  # the last second of the fifth local day


def report(at: datetime, month: str = "2026-10", remarks: str = "fewer") -> ask.SubmitReport:
    return ask.SubmitReport("service", month, 7, remarks, {"tickets": 40}, "2001", at)


def test_a_report_in_the_last_second_is_in_time() -> None:
    story = given().when(report(REPORT_DUE)).then(ComplaintReportSubmitted)
    assert (story.first.in_time, story.first.due, story.first.complaints) == (True, REPORT_DUE, 7)


def test_a_report_a_second_later_is_late() -> None:
    late = given().when(report(REPORT_DUE + timedelta(seconds=1))).then(ComplaintReportSubmitted)
    assert late.first.in_time is False


def test_a_decembers_report_is_due_in_january() -> None:
    story = given().when(report(datetime(2027, 1, 3, tzinfo=UTC), "2026-12")).then(ComplaintReportSubmitted)
    assert story.first.due == datetime(2027, 1, 5, 15, 59, 59, tzinfo=UTC)


def test_a_month_that_is_not_over_has_no_report() -> None:
    given().when(report(datetime(2026, 10, 31, 15, 59, 59, tzinfo=UTC))).refused("month_not_over", 409)
    given().when(report(datetime(2026, 10, 31, 16, tzinfo=UTC))).then(ComplaintReportSubmitted)


@pytest.mark.parametrize("month", ["2026-13", "2026", "2026-1", "0000-01", "9999-12"])
def test_a_month_is_a_month(month: str) -> None:
    given().when(report(REPORT_DUE, month)).refused("bad_month")


def test_a_report_is_handed_in_once() -> None:
    submitted = given().when(report(REPORT_DUE)).first
    given(submitted).when(report(REPORT_DUE)).then()
    given(submitted).when(report(REPORT_DUE, remarks="more")).refused("report_submitted", 409)


# --- topics and projects ---


def topic(name: str, parent: str | None = None, *, retired: bool = False) -> Topic:
    return Topic(name, name, name, parent, 0, retired)


def test_a_topic_is_defined_and_said_again_changes_nothing() -> None:
    defined = given().when(ask.DefineTopic(topic("login"))).then(TopicDefined).first
    given(defined).when(ask.DefineTopic(topic("login"))).then()
    given(defined).when(ask.DefineTopic(topic("login", retired=True))).then(TopicDefined)


def test_a_topic_stands_below_a_topic_that_is_there() -> None:
    given().when(ask.DefineTopic(topic("password", "login"), (topic("login"),))).then(TopicDefined)
    given().when(ask.DefineTopic(topic("password", "login"))).refused("topic_unknown", 404)


def test_topics_make_no_circle() -> None:
    defined = given().when(ask.DefineTopic(topic("a"))).first
    given().when(ask.DefineTopic(topic("a", "a"))).refused("topic_in_a_circle", 409)
    given(defined).when(ask.DefineTopic(topic("a", "b"), (topic("b", "a"), topic("a")))).refused("topic_in_a_circle")
    above = (topic("c", "b"), topic("b", "a"), topic("a", "c"))
    given(defined).when(ask.DefineTopic(topic("a", "c"), above)).refused("topic_in_a_circle")


def test_no_topic_in_use_stands_below_a_retired_one() -> None:
    above = (topic("login", retired=True),)
    given().when(ask.DefineTopic(topic("password", "login"), above)).refused("topic_retired", 409)
    given().when(ask.DefineTopic(topic("password", "login", retired=True), above)).then(TopicDefined)


def test_the_tree_has_twenty_levels() -> None:
    above = tuple(topic(f"t{n}", f"t{n + 1}") for n in range(20))
    given().when(ask.DefineTopic(topic("leaf", "t0"), above)).refused("too_deep")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a/b", "x" * 61, "a\n"])
def test_ids_are_words(name: str) -> None:
    given().when(ask.DefineTopic(topic(name))).refused("bad_topic_id")
    given().when(ask.DefineProject(Project(name, "a", "b"))).refused("bad_project_id")


def test_names_are_lines() -> None:
    given().when(ask.DefineTopic(Topic("a", "", "b"))).refused("bad_text")
    given().when(ask.DefineProject(Project("a", "a", "b\nc"))).refused("bad_text")


def test_a_project_is_defined_changed_and_retired() -> None:
    defined = given().when(ask.DefineProject(Project("forum", "论坛", "Forum", "service"))).then(ProjectDefined).first
    given(defined).when(ask.DefineProject(Project("forum", "论坛", "Forum", "service"))).then()
    given(defined).when(ask.DefineProject(Project("forum", "论坛", "Forum", "service", True))).then(ProjectDefined)


# --- saved queues ---


def save(by: str = "2001", name: str = "mine", **query: Any) -> ask.SaveQueue:
    return ask.SaveQueue("Q1", name, None, query, by, NOON)


def test_a_queue_is_saved_renamed_deleted_and_saved_again() -> None:
    saved = given().when(save(state="open")).then(QueueSaved).first
    assert (saved.owner, saved.query, saved.deleted) == ("2001", {"state": "open"}, False)
    given(saved).when(save(state="open")).then()
    given(saved).when(save(name="others", state="open")).then(QueueSaved)
    deleted = given(saved).when(ask.DeleteQueue("2001", LATER)).then(QueueSaved).first
    assert deleted.deleted is True
    given(saved, deleted).when(ask.DeleteQueue("2001", LATER)).then()
    given(saved, deleted).when(save(state="open")).then(QueueSaved)


def test_a_queue_is_its_owners() -> None:
    saved = given().when(save()).first
    given(saved).when(save("2002", name="x")).refused("not_allowed", 403)
    given(saved).when(ask.DeleteQueue("2002", LATER)).refused("not_allowed", 403)


def test_a_queue_has_a_name_and_is_there() -> None:
    given().when(save(name="")).refused("bad_text")
    given().when(save(name="x" * 101)).refused("bad_text")
    given().when(save(text="\0")).refused("bad_query", 422)
    given().when(save(text="x" * 10_001)).refused("bad_query", 422)
    given().when(ask.DeleteQueue("2001", LATER)).refused("queue_unknown", 404)


def test_a_command_is_for_its_own_kind() -> None:
    with pytest.raises(TypeError):
        given(COLLECTED).when(do())


def test_an_event_of_something_that_never_began_is_no_state() -> None:
    for event in (MISSED, HANDED, ENDED):
        with pytest.raises(LookupError):
            fold([event])
    with pytest.raises(LookupError):
        fold([SCHEDULED, HANDED])
    with pytest.raises(LookupError):
        fold([COLLECTED, MISSED])
    with pytest.raises(LookupError):
        fold([RAISED, MISSED])
