"""Service levels as data: what a version may not say, and the pack's first version."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import ValidationError

from contracts.service_levels import CalendarData, Interval, Priority, ServiceLevels, TicketKind

PROJECT = Path(__file__).parents[2]
PACK = PROJECT / "deploy" / "handbook" / "service_levels.yaml"
MORNING = {"since": "09:00", "until": "12:00"}
OFFICE = [MORNING, {"since": "13:30", "until": "18:00"}]


def calendar(**changes: Any) -> dict[str, Any]:
    return {"week": {str(day): OFFICE for day in range(1, 6)}, "make_up": OFFICE, **changes}


def levels(**changes: Any) -> dict[str, Any]:
    return {
        "title": "Levels",
        "version": 1,
        "effective": "2026-01-01T00:00:00+08:00",
        "calendar": calendar(),
        "rules": [{"targets": {"first_response": 3600}}],
        **changes,
    }


def refused(document: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ServiceLevels.model_validate(document)


def test_a_version_that_says_all_this_is_taken():
    assert ServiceLevels.model_validate(levels()).rules[0].targets.first_response == 3600


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        ("18:00", "09:00", "ends after it begins.*over midnight is two"),
        ("09:00", "09:00", "ends after it begins"),
        ("09:00:00.5", "12:00", "whole seconds"),
        ("09:00+08:00", "12:00", "carry no offset"),
    ],
)
def test_an_interval_goes_forward_in_whole_local_seconds(since: str, until: str, why: str):
    with pytest.raises(ValidationError, match=why):
        Interval.model_validate({"since": since, "until": until})


def test_midnight_ends_a_day_and_a_whole_day_is_an_interval():
    assert Interval.model_validate({"since": "22:00", "until": "00:00"}).seconds_of_day() == (79_200, 86_400)
    assert Interval.model_validate({"since": "00:00", "until": "00:00"}).seconds_of_day() == (0, 86_400)


OVERLAPPING = [MORNING, {"since": "11:59:59", "until": "13:00"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"week": {"1": OVERLAPPING}},
        {"week": {"1": [{"since": "22:00", "until": "00:00"}, {"since": "23:00", "until": "23:30"}]}},
        {"make_up": OVERLAPPING},
        {"make_up": [MORNING, MORNING]},
        {"special": [{"day": "2026-10-01", "intervals": OVERLAPPING}]},
    ],
)
def test_intervals_of_a_day_may_not_overlap(changes: dict[str, Any]):
    refused(levels(calendar=calendar(**changes)), "overlap")


def test_intervals_of_a_day_may_touch_and_stand_in_any_order():
    touching = [{"since": "12:00", "until": "13:00"}, MORNING]
    assert CalendarData.model_validate(calendar(week={"1": touching})).weekly_seconds() == 4 * 3600


@pytest.mark.parametrize("timezone", ["Asia/Beijing2", "", "+08:00", "../etc/passwd", "/etc/localtime", "Asia"])
def test_a_timezone_must_be_known(timezone: str):
    refused(levels(calendar=calendar(timezone=timezone)), "unknown timezone")


def test_a_day_is_special_once():
    twice = [{"day": "2026-12-31"}, {"day": "2026-12-31", "intervals": [MORNING]}]
    refused(levels(calendar=calendar(special=twice)), "2026-12-31 is a special day twice")


def test_a_weekday_is_one_of_seven():
    refused(levels(calendar=calendar(week={"0": OFFICE})), "week")
    refused(levels(calendar=calendar(week={"Monday": OFFICE})), "week")


@pytest.mark.parametrize("week", [{}, {"1": [], "2": []}])
def test_somebody_has_to_work_some_day(week: dict[str, Any]):
    refused(levels(calendar=calendar(week=week)), "nobody ever works")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"rules": [{"targets": {"resolution": 10_000_000}}]}, "rule 1, resolution"),
        ({"ownership": {"seconds": 10_000_000}}, "ownership"),
        ({"close_after": 10_000_000}, "close_after"),
    ],
)
def test_no_duration_is_longer_than_a_years_working_time(changes: dict[str, Any], what: str):
    refused(levels(**changes), f"{what}: 10000000 working seconds are over 52 weeks")


def test_a_promise_is_at_least_a_second():
    refused(levels(rules=[{"targets": {"resolution": 0}}]), "resolution")


@pytest.mark.parametrize(
    "rules",
    [
        [{"targets": {}}, {"kinds": ["complaint"], "targets": {"resolution": 60}}],
        [
            {"kinds": ["complaint"], "priorities": ["urgent", "high"], "targets": {}},
            {"kinds": ["complaint"], "priorities": ["normal", "low"], "targets": {}},
            {"kinds": ["complaint"], "targets": {"resolution": 60}},
        ],
    ],
)
def test_a_rule_that_is_never_taken_is_a_slip(rules: list[dict[str, Any]]):
    refused(levels(rules=rules), f"rule {len(rules)} is never taken")


def test_a_rule_may_take_what_the_rules_before_it_left():
    rules = [{"kinds": ["complaint"], "priorities": ["urgent"], "targets": {}}, {"kinds": ["complaint"], "targets": {}}]
    assert len(ServiceLevels.model_validate(levels(rules=rules)).rules) == 2


def pack() -> ServiceLevels:
    return ServiceLevels.model_validate(yaml.safe_load(PACK.read_text(encoding="utf-8")))


def test_the_packs_levels_are_valid_and_stay_so_on_the_wire():
    assert ServiceLevels.model_validate(json.loads(pack().model_dump_json())) == pack()


def test_the_pack_is_in_force_from_an_instant_with_an_offset():
    assert pack().effective == datetime(2020, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))


def test_the_pack_opens_from_nine_to_twelve_and_from_half_past_one_to_six_on_five_days():
    calendar = pack().calendar
    assert (calendar.timezone, calendar.holidays) == ("Asia/Shanghai", "cn")
    hours = [(9 * 3600, 12 * 3600), (13 * 3600 + 1800, 18 * 3600)]
    assert set(calendar.week) == {"1", "2", "3", "4", "5"}
    for intervals in (*calendar.week.values(), calendar.make_up):
        assert [interval.seconds_of_day() for interval in intervals] == hours


def test_the_pack_promises_something_to_every_kind_and_priority_and_no_less_to_the_more_urgent():
    for kind in get_args(TicketKind):
        promised = []
        for priority in get_args(Priority):  # urgent first
            fits = [
                rule
                for rule in pack().rules
                if kind in (rule.kinds or [kind]) and priority in (rule.priorities or [priority])
            ]
            targets = fits[0].targets
            assert targets.first_response is not None
            assert targets.next_response is not None
            assert targets.resolution is not None
            assert targets.first_response <= targets.next_response <= targets.resolution
            promised.append((targets.first_response, targets.next_response, targets.resolution))
        assert promised == sorted(promised)
