"""The generator makes what it promises, and the oracle keeps its own laws over it."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from random import Random

from hypothesis import given, settings

from tests.oracle import Delivery, expected_of, standing, verdicts
from tests.oracle.catalogue import NEEDS, PREFIX
from tests.oracle.days import period_kind
from tests.oracle.generator import generate
from tests.oracle.strategies import scenarios, small_organisation, streams

SCENARIO = generate(seed=3)
PERIODS = ("2026-10", "2026-11", "2026-W40", "2026-W41", "2026-W44", "2026-10-05")


def test_the_same_seed_makes_the_same_scenario() -> None:
    assert generate(seed=3) == SCENARIO
    assert generate(seed=4) != SCENARIO


def test_every_type_and_every_outcome_occurs() -> None:
    assert {d.event["type"] for d in SCENARIO.deliveries} >= {PREFIX + name for name in NEEDS}
    judged = Counter(verdict.outcome for verdict in verdicts(SCENARIO.organisation, SCENARIO.deliveries))
    assert set(judged) == {"recorded", "duplicate", "conflict", "held", "rejected"}
    whys = {change.why for change in SCENARIO.changes}
    assert {"a person made known late", "a backdated transfer", "an account made known late"} <= whys


def test_the_changes_lead_from_the_first_organisation_to_the_final_one() -> None:
    now = deepcopy(SCENARIO.initial)
    people = {entry["person"]: entry for entry in now["people"]}
    accounts = {(entry["platform"], entry["handle"]): entry for entry in now["accounts"]}
    for change in SCENARIO.changes:
        people |= {entry["person"]: entry for entry in change.document.get("people", [])}
        accounts |= {(entry["platform"], entry["handle"]): entry for entry in change.document.get("accounts", [])}
    assert people == {entry["person"]: entry for entry in SCENARIO.organisation["people"]}
    final = {(entry["platform"], entry["handle"]): entry for entry in SCENARIO.organisation["accounts"]}
    assert accounts == final
    assert len(final) == len(SCENARIO.organisation["accounts"])


def test_every_quota_has_work_in_the_scenario() -> None:
    months_and_weeks = [period for period in SCENARIO.periods if period_kind(period) != "day"]
    rows = expected_of(SCENARIO.organisation, SCENARIO.deliveries, months_and_weeks)
    idle = {key[0] for key in rows} - {key[0] for key, (done, _) in rows.items() if done > 0}
    assert not idle
    assert {key[1] for key in rows} == {"person", "account", "pair", "unit"}


@settings(max_examples=5, deadline=None)
@given(scenarios())
def test_without_conflicts_the_order_does_not_matter(scenario_with_conflicts: object) -> None:
    seed = scenario_with_conflicts.seed  # type: ignore[attr-defined]
    scenario = generate(seed, people=14, events=80, without_conflicts=True)
    shuffled = list(scenario.deliveries)
    Random(seed).shuffle(shuffled)
    by_id = {(a.source, a.id): a for a in standing(scenario.organisation, scenario.deliveries)}
    assert by_id == {(a.source, a.id): a for a in standing(scenario.organisation, shuffled)}


@settings(max_examples=60, deadline=None)
@given(streams())
def test_sending_everything_again_changes_nothing(sent: list[Delivery]) -> None:
    org = small_organisation()
    assert expected_of(org, sent + sent, PERIODS) == expected_of(org, sent, PERIODS)


@settings(max_examples=60, deadline=None)
@given(streams())
def test_a_pure_count_of_the_centre_is_the_sum_over_its_people(sent: list[Delivery]) -> None:
    """Everybody in the small organisation is always in some unit, so nothing is lost on the way up."""
    rows = expected_of(small_organisation(), sent, PERIODS)
    for quota in ("H-30a", "H-32c", "H-35a"):
        people = sum(done for key, (done, _) in rows.items() if key[0] == quota and key[1] == "person")
        assert people == sum(rows[quota, "unit", "centre", month][0] for month in ("2026-10", "2026-11"))
