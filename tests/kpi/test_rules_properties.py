"""Laws that hold for any input: additivity, independence of order, evidence that sums to its figure, one arithmetic."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from contracts.kpi import Quota
from services.kpi.facts import Exact, Fact, Facts, Period, parse_period, period_of
from services.kpi.rules import attain
from services.kpi.rules_evidence import evidence
from services.kpi.rules_rows import rows, scopes
from tests.kpi.rules_given import given, quotas, selects

PEOPLE = "ABCD"
START = date(2026, 9, 28)
TYPES = sorted({name for quota in quotas().values() for s in (quota.selector, *quota.also) for name in s.types})
MONTHS = [parse_period(text) for text in ("2026-09", "2026-10")]
WEEKS = [parse_period(text) for text in ("2026-W40", "2026-W42")]

facts_strategy = st.lists(
    st.builds(
        lambda person, offset, type, platform, account, on_topic, form, other, campaign, quantity: Fact(
            person, START + timedelta(days=offset), type, platform or type.split(".")[0], account, on_topic, form,
            other if other != person else None, campaign, quantity,
        ),
        st.sampled_from(PEOPLE), st.integers(0, 33), st.sampled_from(TYPES), st.sampled_from([None, None, "p", "q"]),
        st.sampled_from(["x", "y", "z"]), st.booleans(), st.sampled_from(["original", "share"]),
        st.sampled_from(PEOPLE), st.sampled_from([None, "c"]), st.integers(1, 40),
    ),
    max_size=60,
)  # fmt: skip


def _centre(seed: int) -> given:
    """A centre with transfers, absences, several groups at once and accounts of changing registration."""
    rng = Random(seed)
    case = given()
    for person in PEOPLE:
        turn = START + timedelta(days=rng.randint(0, 33))
        case.member(person, rng.choice(["commercial", "channel"]), until=turn.isoformat())
        case.member(person, rng.choice(["public-interest", "promotion", "design"]), turn.isoformat())
        away = START + timedelta(days=rng.randint(0, 33))
        case.absent(person, away.isoformat(), (away + timedelta(days=rng.randint(0, 6))).isoformat())
    for platform in ("blog", "encyclopedia", "p"):
        for handle in "xyz":
            since = START + timedelta(days=rng.randint(-9, 20))
            case.account(platform, handle, rng.choice(PEOPLE), since.isoformat(), verified=(since.isoformat(), None))
    return case


def _periods(kind: str) -> list[Period]:
    return MONTHS if kind == "month" else WEEKS


@settings(max_examples=40, deadline=None)
@for_all(facts_strategy, st.integers(0, 99))
def test_evidence_never_overlaps_and_sums_to_the_figure(found: list[Fact], seed: int) -> None:
    case = _centre(seed)
    organisation, facts = case.organisation(), Facts.of(found)
    for quota in quotas().values():
        for period in _periods(quota.period):
            for scope in scopes(quota):
                for row in rows(quota, scope, period, facts, organisation):
                    figure = attain(quota, scope, row.id, period, facts, organisation, START)
                    selectors = evidence(quota, scope, row.id, period, facts, organisation)
                    times = [sum(selects(selector, fact) for selector in selectors) for fact in found]
                    assert max(times, default=0) <= 1, (quota.id, row)
                    hits = [fact for fact, hit in zip(found, times, strict=True) if hit]
                    assert _explains(quota, scope, hits, figure.done), (quota.id, row)


def _explains(quota: Quota, scope: str, hits: list[Fact], done: Exact) -> bool:
    """Whether the activities shown give the figure shown; capped sums of accounts are shown uncapped."""
    total = sum(fact.quantity for fact in hits)
    if quota.measure.per == "account_day":
        return len({(f.person, f.platform, f.account, f.day) for f in hits}) == done
    if quota.measure.per == "account" and scope != "unit":
        return total >= done
    if quota.measure.kind == "distinct":
        return len({(f.platform, f.account) for f in hits}) == done
    if quota.measure.kind == "campaigns":
        return len({f.campaign for f in hits}) == done
    return total == done


@settings(max_examples=30, deadline=None)
@for_all(facts_strategy, st.integers(0, 99), st.randoms(use_true_random=False))
def test_order_and_grouping_change_nothing(found: list[Fact], seed: int, rng: Random) -> None:
    case = _centre(seed)
    organisation = case.organisation()
    split = [fact._replace(quantity=1) for fact in found for _ in range(min(fact.quantity, 3))]
    mixed = list(split)
    rng.shuffle(mixed)
    for quota in quotas().values():
        for period in _periods(quota.period):
            for scope in scopes(quota):
                one, other = Facts.of(split), Facts.of(mixed)
                listed = rows(quota, scope, period, one, organisation)
                assert rows(quota, scope, period, other, organisation) == listed
                for row in listed:
                    before = attain(quota, scope, row.id, period, one, organisation, START)
                    after = attain(quota, scope, row.id, period, other, organisation, START)
                    assert before == after


@settings(max_examples=30, deadline=None)
@for_all(facts_strategy, facts_strategy, st.integers(0, 99))
def test_plain_counts_add_up_over_inputs_people_and_days(one: list[Fact], two: list[Fact], seed: int) -> None:
    case = _centre(seed)
    organisation, month = case.organisation(), MONTHS[1]
    a, b, both = Facts.of(one), Facts.of(two), Facts.of(one + two)
    for quota in quotas().values():
        if quota.measure.kind != "count" or quota.measure.per or quota.period != "month" or quota.scope != "person":
            continue
        done = {who: attain(quota, "person", who, month, both, organisation, START).done for who in PEOPLE}
        for who in PEOPLE:
            apart = [attain(quota, "person", who, month, facts, organisation, START).done for facts in (a, b)]
            assert sum(apart) == done[who]
            days = [period_of("day", date(2026, 10, 1) + timedelta(days=i)) for i in range(31)]
            if not quota.selector.verified_account:
                assert sum(attain(quota, "person", who, d, both, organisation, START).done for d in days) == done[who]
        assert attain(quota, "unit", "centre", month, both, organisation, START).done == sum(done.values())


@settings(max_examples=30, deadline=None)
@for_all(facts_strategy, st.integers(0, 99))
def test_the_promised_window_changes_nothing_but_speed(found: list[Fact], seed: int) -> None:
    case, month = _centre(seed), MONTHS[1]
    organisation = case.organisation()
    inside = [fact for fact in found if month.first <= fact.day.toordinal() <= month.last]
    plain, fast = Facts.of(found), Facts.of(inside)
    fast.window = month
    for quota in quotas().values():
        if quota.period == "month":
            for scope in scopes(quota):
                for row in rows(quota, scope, month, plain, organisation):
                    slow = attain(quota, scope, row.id, month, plain, organisation, START)
                    assert attain(quota, scope, row.id, month, fast, organisation, START) == slow


@settings(max_examples=50, deadline=None)
@for_all(st.integers(0, 999))
def test_a_day_of_originals_sums_to_its_month(seed: int) -> None:
    rng, case = Random(seed), _centre(seed)
    for _ in range(40):
        on = (date(2026, 10, 1) + timedelta(days=rng.randint(0, 30))).isoformat()
        case.did(rng.choice(PEOPLE), on, "blog.original", account=rng.choice("xyz"))
    for who in PEOPLE:
        month = case.figure("H-32a", who, "2026-10")
        days = [case.figure("H-32a", who, f"2026-10-{d:02d}") for d in range(1, 32)]
        assert sum(f.due for f in days) == month.due
        if month.due:
            assert sum(f.done for f in days if f.due) == month.done


@pytest.mark.parametrize("days", [1, 7, 28, 31])
def test_a_due_is_linear_in_due_days(days: int) -> None:
    until = (date(2026, 10, 1) + timedelta(days=days - 1)).isoformat()
    figure = given().member("A", "commercial", until=until).figure("H-35a", "A", "2026-10")
    assert figure.due * 31 == 100 * days
