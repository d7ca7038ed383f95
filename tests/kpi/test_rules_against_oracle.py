"""The rules core and the oracle read the same handbook apart from each other: on any scenario they must agree.

No service runs here; the oracle's activities are summed into day facts by a few lines, and every figure of every period
is compared as exact fractions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
import yaml

from contracts.kpi import Policy, Quota
from deploy.local.instance import PROJECT
from services.kpi.facts import Facts, Period, Series, parse_period
from services.kpi.organisation import AbsenceRow, AccountRow, MembershipRow, Organisation, UnitRow
from services.kpi.rules import Attainment, attain
from services.kpi.rules_rows import figures, in_force
from services.kpi.rules_shared import shared_account
from tests.oracle import expected_of, standing
from tests.oracle.generator import Scenario, generate

POLICY = Policy.model_validate(yaml.safe_load((PROJECT / "deploy" / "handbook" / "policy.yaml").read_text("utf-8")))
LATER = date(2027, 1, 1)


def organisation_of(document: dict[str, Any]) -> Organisation:
    def day(text: str | None) -> date | None:
        return date.fromisoformat(text) if text else None

    def spans(entries: list[dict[str, Any]]) -> tuple[tuple[date, date | None], ...]:
        return tuple((date.fromisoformat(entry["since"]), day(entry["until"])) for entry in entries)

    return Organisation(
        [UnitRow(unit["unit"], unit["kind"], unit.get("parent")) for unit in document["units"]],
        [
            MembershipRow(person["person"], entry["unit"], date.fromisoformat(entry["since"]), day(entry["until"]))
            for person in document["people"]
            for entry in person["memberships"]
        ],
        [
            AbsenceRow(person["person"], date.fromisoformat(entry["since"]), date.fromisoformat(entry["until"]))
            for person in document["people"]
            for entry in person["absences"]
        ],
        [
            AccountRow(a["platform"], a["handle"], a["owner"], spans(a["registered"]), spans(a["verified"]))
            for a in document["accounts"]
        ],
    )


def facts_of(scenario: Scenario) -> Facts:
    days: dict[tuple[Any, ...], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for done in standing(scenario.organisation, scenario.deliveries):
        account = done.account[1] if done.account else None
        key = (
            done.subject,
            done.type,
            done.platform,
            account,
            done.on_topic,
            done.form,
            done.counterpart,
            done.campaign,
        )
        days[key][done.day.toordinal()] += done.quantity
    return Facts(Series(*key, sorted(by_day), [by_day[day] for day in sorted(by_day)]) for key, by_day in days.items())


def every_figure(quotas: list[Quota], period: Period, facts: Facts, organisation: Organisation) -> Iterator[Attainment]:
    """Every row of every scope; an account's that several people use is united as the service does it."""
    owners = {account: owner for owner, accounts in organisation._owned.items() for account in accounts}
    people = sorted({*facts.by_person, *owners.values()})
    for scope in ("person", "pair", "unit"):
        yield from figures(quotas, scope, period, facts, organisation, LATER)
    for quota in quotas:
        for account in sorted({one.id for one in figures([quota], "account", period, facts, organisation, LATER)}):
            if quota.scope == "account":
                yield attain(quota, "account", account, period, facts, organisation, LATER)
            else:
                yield shared_account(quota, account, people, period, facts, organisation, LATER)


@pytest.mark.parametrize("seed", range(3))
def test_every_figure_of_a_scenario_is_the_oracles(seed: int) -> None:
    scenario = generate(seed, people=18, events=600)
    organisation, facts = organisation_of(scenario.organisation), facts_of(scenario)
    quotas = [quota for quota, winner in in_force(POLICY.quotas) if winner is None]
    expected = expected_of(scenario.organisation, scenario.deliveries, scenario.periods)
    found: dict[tuple[str, str, str, str], tuple[Fraction, Fraction]] = {}
    for text in scenario.periods:
        for one in every_figure(quotas, parse_period(text), facts, organisation):
            found[one.quota, one.scope, one.id, text] = (Fraction(one.done), Fraction(one.due))
    differences = [
        f"{key}: oracle {show(expected.get(key))}, rules {show(found.get(key))}"
        for key in sorted(expected.keys() | found.keys())
        if expected.get(key) != found.get(key)
        and not (key[1] == "unit" and not any(expected.get(key) or ()) and not any(found.get(key) or ()))
    ]
    assert len(expected) > 1000
    assert not differences, "\n".join([f"{len(differences)} of {len(expected)}", *differences[:60]])


def show(figure: tuple[Fraction, Fraction] | None) -> str:
    return "no row" if figure is None else f"{figure[0]} of {figure[1]}"
