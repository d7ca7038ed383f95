"""The organisation's rules: given what happened, when a command comes, then these events or this refusal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from contracts.org import (
    Absence,
    AccountRegistered,
    Membership,
    MembershipsChanged,
    OrgEvent,
    PersonRegistered,
    PublisherRegistered,
    RoleGrant,
    UnitDefined,
    UnitRetired,
    Validity,
)
from services.kernel.errors import Refusal
from services.org.decisions import decide
from services.org.domain import (
    Account,
    ChangeAbsences,
    ChangeMemberships,
    ChangeRoles,
    Command,
    DefineUnit,
    Organisation,
    Publisher,
    RegisterAccount,
    RegisterPerson,
    RegisterPublisher,
    RetireUnit,
    RevokePublisher,
    Unit,
    evolve,
)
from services.org.importing import InvalidFile, read_file
from services.org.planning import plan
from tests.org.conftest import SMALL

JANUARY, MARCH, JUNE = date(2026, 1, 1), date(2026, 3, 1), date(2026, 6, 30)

CENTRE = UnitDefined(unit="centre", kind="centre", name_zh="中心", name_en="Centre")
DEPARTMENT = UnitDefined(unit="promo", kind="department", name_zh="推广", name_en="Promotion", parent="centre")
GROUP = UnitDefined(unit="commercial", kind="group", name_zh="商业组", name_en="Commercial", parent="promo")
WANG = PersonRegistered(person="0012", name="王芳")
UNITS = (CENTRE, DEPARTMENT, GROUP)


@dataclass
class When:
    organisation: Organisation
    command: Command

    def then(self, *events: OrgEvent) -> None:
        assert decide(self.organisation, self.command) == list(events)

    def refused(self, code: str, field: str | None = None) -> None:
        with pytest.raises(Refusal) as caught:
            decide(self.organisation, self.command)
        assert caught.value.code == code
        assert caught.value.remedy
        if field is not None:
            assert caught.value.field == field


@dataclass
class Given:
    organisation: Organisation

    def when(self, command: Command) -> When:
        return When(self.organisation, command)


def given(*events: OrgEvent) -> Given:
    return Given(evolve(Organisation(), events))


def in_group(since: date = JANUARY, until: date | None = None, unit: str = "commercial") -> Membership:
    return Membership(unit=unit, since=since, until=until)


def test_a_unit_is_defined_under_a_wider_one() -> None:
    new = Unit("commercial", "group", "商业组", "Commercial", "promo")
    given(CENTRE, DEPARTMENT).when(DefineUnit(new)).then(GROUP)
    given(CENTRE, DEPARTMENT, GROUP).when(DefineUnit(new)).then()


def test_a_unit_stands_under_nothing_unknown_nor_narrower() -> None:
    given(CENTRE).when(DefineUnit(Unit("x", "group", "组", "X", "nowhere"))).refused("unknown_unit", "parent")
    given(*UNITS).when(DefineUnit(Unit("x", "group", "组", "X", "commercial"))).refused("parent_too_narrow", "parent")
    given(*UNITS).when(DefineUnit(Unit("x", "group", "组", "X"))).refused("parent_missing", "parent")
    given(*UNITS).when(DefineUnit(Unit("promo", "group", "推", "P", "centre"))).refused("child_too_wide", "kind")
    given(*UNITS).when(DefineUnit(Unit("Bad Id", "group", "组", "X", "promo"))).refused("bad_unit", "unit")


def test_a_unit_is_retired_only_when_it_is_empty() -> None:
    member = MembershipsChanged(person="0012", memberships=[in_group()])
    left = MembershipsChanged(person="0012", memberships=[in_group(until=JUNE)])
    given(*UNITS, WANG, member).when(RetireUnit("commercial", JUNE)).refused("unit_has_members", "on")
    given(*UNITS, WANG, left).when(RetireUnit("commercial", JUNE)).then(UnitRetired(unit="commercial", on=JUNE))
    given(*UNITS).when(RetireUnit("promo", JUNE)).refused("unit_has_units", "on")
    retired = UnitRetired(unit="commercial", on=JUNE)
    given(*UNITS, retired).when(RetireUnit("commercial", JUNE)).then()
    given(*UNITS, retired, WANG).when(ChangeMemberships("0012", (in_group(),))).refused("unit_retired")


def test_memberships_travel_whole_in_order_and_change_nothing_twice() -> None:
    new = (in_group(MARCH, unit="promo"), in_group(JANUARY))
    changed = MembershipsChanged(person="0012", memberships=[new[1], new[0]])
    given(*UNITS, WANG).when(ChangeMemberships("0012", new)).then(changed)
    given(*UNITS, WANG, changed).when(ChangeMemberships("0012", new)).then()
    given(*UNITS, WANG, changed).when(ChangeMemberships("0012", ())).then(
        MembershipsChanged(person="0012", memberships=[])
    )


def test_two_memberships_of_one_unit_share_no_day_and_those_of_two_units_may() -> None:
    touching = (in_group(JANUARY, JUNE), in_group(JUNE))
    given(*UNITS, WANG).when(ChangeMemberships("0012", touching)).refused("memberships_overlap", "memberships")
    open_end = (in_group(JANUARY), in_group(JUNE, JUNE))
    given(*UNITS, WANG).when(ChangeMemberships("0012", open_end)).refused("memberships_overlap")
    both = (in_group(JANUARY), in_group(JANUARY, unit="promo"))
    assert decide(given(*UNITS, WANG).organisation, ChangeMemberships("0012", both))
    again = (in_group(JANUARY, MARCH), in_group(JUNE))
    assert decide(given(*UNITS, WANG).organisation, ChangeMemberships("0012", again))


def test_memberships_name_known_units_posts_and_people() -> None:
    elsewhere = (in_group(unit="nowhere"),)
    given(*UNITS, WANG).when(ChangeMemberships("0012", elsewhere)).refused("unknown_unit", "memberships.0.unit")
    post = (Membership(unit="promo", post="chief", since=JANUARY),)
    given(*UNITS, WANG).when(ChangeMemberships("0012", post)).refused("unknown_post", "memberships.0.post")
    given(*UNITS).when(ChangeMemberships("0012", ())).refused("unknown_person", "person")
    backwards = (in_group(JUNE, JANUARY),)
    given(*UNITS, WANG).when(ChangeMemberships("0012", backwards)).refused("until_before_since", "memberships.0.until")


def test_a_day_is_absent_once() -> None:
    twice = (Absence(since=JANUARY, until=MARCH), Absence(since=MARCH, until=JUNE))
    given(*UNITS, WANG).when(ChangeAbsences("0012", twice)).refused("absences_overlap", "absences")


def test_staff_numbers_are_kept_as_they_are_and_names_given() -> None:
    given().when(RegisterPerson("0012", "王芳")).then(WANG)
    given(WANG).when(RegisterPerson("0012", "王芳")).then()
    for bad in ("", "a b", "a/b", "a+b", "x" * 41):
        given().when(RegisterPerson(bad, "王芳")).refused("bad_person", "person")
    given().when(RegisterPerson("0012", " ")).refused("bad_name", "name")


def test_an_account_has_known_owner_and_separate_registrations() -> None:
    spans = (Validity(since=JUNE), Validity(since=JANUARY, until=MARCH))
    given(WANG).when(RegisterAccount(Account("blog", "w", "0012", None, spans))).then(
        AccountRegistered(platform="blog", handle="w", owner="0012", registered=[spans[1], spans[0]])
    )
    given().when(RegisterAccount(Account("blog", "w", "0012", None, spans))).refused("unknown_person", "owner")
    shared = (Validity(since=JANUARY), Validity(since=JUNE))
    given().when(RegisterAccount(Account("blog", "w", None, None, shared))).refused(
        "registrations_overlap", "registered"
    )
    verified = Account("blog", "w", None, None, spans, shared)
    given().when(RegisterAccount(verified)).refused("verifications_overlap", "verified")
    given().when(RegisterAccount(Account("a/b", "w", None, None, spans))).refused("bad_platform", "platform")


def test_roles_are_those_of_people_and_heads_answer_for_a_unit() -> None:
    robot = (RoleGrant(role="publisher"),)
    given(*UNITS, WANG).when(ChangeRoles("0012", robot)).refused("role_of_systems", "roles.0.role")
    headless = (RoleGrant(role="department_head"),)
    given(*UNITS, WANG).when(ChangeRoles("0012", headless)).refused("role_needs_unit", "roles.0.unit")


def test_a_source_belongs_to_one_publisher() -> None:
    bot = PublisherRegistered(publisher="bot", types=["*"], sources=["bot"])
    given().when(RegisterPublisher(Publisher("bot"))).then(bot)
    given(bot).when(RegisterPublisher(Publisher("bot"))).then()
    given(bot).when(RegisterPublisher(Publisher("bot-2", sources=("bot",)))).refused("source_taken", "sources")
    given().when(RegisterPublisher(Publisher("bot", sources=("/opsledger/console",)))).refused("source_reserved")
    given().when(RegisterPublisher(Publisher("Bot"))).refused("bad_publisher", "publisher")
    given().when(RegisterPublisher(Publisher("bot", contexts=("kpi",)))).refused("unknown_context", "contexts")
    given().when(RevokePublisher("bot")).refused("unknown_publisher")


def small_organisation() -> Organisation:
    return evolve(Organisation(), plan(Organisation(), read_file(SMALL.encode(), "application/yaml")).events)


def test_the_same_file_twice_is_the_same_organisation() -> None:
    assert plan(small_organisation(), read_file(SMALL.encode(), "application/yaml")).events == []


def test_a_key_left_out_stays_and_an_empty_list_empties() -> None:
    before = small_organisation()
    silent = read_file(b"people: [{person: 0012, name: X}]", "application/yaml")
    after = evolve(before, plan(before, silent).events)
    assert after.people["0012"].memberships == before.people["0012"].memberships
    emptied = plan(before, read_file(b"people: [{person: 0012, absences: []}]", "application/yaml"))
    (change,) = emptied.changes
    assert (change.field, change.new, len(change.old)) == ("absences", [], 1)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("people: [{person: '1', name: A}, {person: '1', name: B}]", "duplicate_person"),
        ("accounts: [{platform: b, handle: h}, {platform: b, handle: h}]", "duplicate_account"),
        ("people: [{person: '1', name: A, name: B}]", "unreadable_file"),
        ("people: {", "unreadable_file"),
        ("- 1", "bad_value"),
        ("poeple: []", "bad_value"),
        ("people: [{person: '1', name: A, memberships: [{unit: x, since: yesterday}]}]", "bad_value"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, code: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read_file(text.encode(), "application/yaml")
    assert caught.value.errors[0]["code"] == code


def test_a_staff_number_belongs_to_one_person_in_a_table_too() -> None:
    table = b"person,name\n1,A\n1,B\n"
    with pytest.raises(InvalidFile) as caught:
        read_file(table, "text/csv")
    assert caught.value.errors[0]["code"] == "duplicate_person"
    with pytest.raises(InvalidFile, match="unreadable_file"):
        read_file(b"number,name\n1,A\n", "text/csv")


def test_every_error_of_a_file_is_found_at_once() -> None:
    text = b"people: [{person: '1', name: A, memberships: [{unit: x, since: 2026-01-01}]}, {person: 'a b', name: B}]"
    with pytest.raises(InvalidFile) as caught:
        plan(Organisation(), read_file(text, "application/yaml"))
    assert {error["code"] for error in caught.value.errors} == {"unknown_unit", "bad_person"}
