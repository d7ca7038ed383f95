"""The demonstration shows what it is for: some ahead, some behind, some idle, and every kind of mishap."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml

from contracts.activity import WIRE_PREFIX
from deploy.handbook.demo import Demonstration, demonstration
from services.kpi.facts import Fact, Facts, parse_period
from services.kpi.organisation import AbsenceRow, AccountRow, MembershipRow, Organisation
from services.kpi.rules_rows import figures
from tests.kpi.rules_given import HANDBOOK, day, quotas, units

NOW = datetime(2026, 10, 28, 4, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo() -> Demonstration:
    return demonstration(NOW)


def _facts(events: list[dict[str, Any]]) -> Facts:
    found = []
    for event in {(e["source"], e["id"]): e for e in events}.values():
        name, data = event["type"].removeprefix(WIRE_PREFIX), event["data"]
        if name == "voided" or not isinstance(data.get("quantity", 1), int):
            continue
        fields = {
            k: data[k] for k in ("account", "form", "counterpart", "campaign", "on_topic", "quantity") if k in data
        }
        platform = data.get("platform", name.split(".")[0])
        found.append(Fact(event["subject"], date.fromisoformat(event["time"][:10]), name, platform, **fields))
    return Facts.of(found)


def _organisation(document: dict[str, Any]) -> Organisation:
    memberships = [
        MembershipRow(p["person"], m["unit"], day(m["since"]), day(m["until"]) if m["until"] else None)
        for p in document["people"]
        for m in p["memberships"]
    ]
    absences = [
        AbsenceRow(p["person"], day(a["since"]), day(a["until"])) for p in document["people"] for a in p["absences"]
    ]
    accounts = [
        AccountRow(a["platform"], a["handle"], a["owner"], tuple((day(s["since"]), None) for s in a["registered"]))
        for a in document["accounts"]
    ]
    return Organisation(units(), memberships, absences, accounts)


def test_some_are_ahead_some_behind_and_some_idle(demo: Demonstration) -> None:
    organisation = _organisation(demo.organisation)
    bound = [quota for quota in quotas().values() if quota.target and quota.scope == "person"]
    found = figures(bound, "person", parse_period("2026-10"), _facts(demo.events), organisation, demo.today)
    rows = [figure for figure in found if figure.due]
    statuses = Counter(figure.status for figure in rows)
    assert statuses["on_track"] > 40
    assert statuses["at_risk"] > 40
    done = Counter[str]()
    for figure in rows:
        done[figure.id] += bool(figure.done)
    assert 0 in done.values() or len(done) < len({figure.id for figure in rows})


def test_about_forty_people_in_all_groups_and_at_least_five_publishers(demo: Demonstration) -> None:
    people = demo.organisation["people"]
    assert 38 <= len(people) <= 46
    used = {m["unit"] for p in people for m in p["memberships"]}
    assert used >= {row.unit for row in units()}
    assert len(demo.organisation["publishers"]) >= 5


def test_it_gives_the_same_again_and_later_only_adds(demo: Demonstration) -> None:
    assert demonstration(NOW) == demo
    later = {(e["source"], e["id"]): e for e in demonstration(NOW + timedelta(hours=3)).events}
    ours = [e for e in demo.events if not e["id"].startswith("wrong-")]
    missing = [e["id"] for e in ours if (e["source"], e["id"]) not in later]
    assert missing == []


def test_nothing_but_the_one_meant_wrong_is_in_the_future(demo: Demonstration) -> None:
    ahead = [e for e in demo.events if e["time"][19:] and datetime.fromisoformat(e["time"]) > NOW]
    assert [e["id"] for e in ahead] == ["wrong-2026-10-28-4"]


def test_every_kind_of_mishap_is_there(demo: Demonstration) -> None:
    ids = Counter((e["source"], e["id"]) for e in demo.events)
    assert any(count > 1 for count in ids.values())
    place = {(e["source"], e["id"]): i for i, e in reversed(list(enumerate(demo.events)))}
    voids = [e for e in demo.events if e["type"].endswith(".voided")]
    before = [place[e["source"], e["data"]["target"]["id"]] > place[e["source"], e["id"]] for e in voids]
    assert any(before)
    assert not all(before)
    assert sum(e["id"].startswith("held-") for e in demo.events) == 5
    assert sum(e["id"].startswith("wrong-") for e in demo.events) == 6


def test_early_in_the_month_the_month_before_is_there_too() -> None:
    early = demonstration(datetime(2026, 11, 3, 2, 0, tzinfo=UTC))
    assert early.since == date(2026, 10, 1)
    assert max(e["time"] for e in early.events if not e["id"].startswith("wrong-"))[:10] == "2026-11-03"


def test_what_it_sends_meets_the_catalogues_needs(demo: Demonstration) -> None:
    document = yaml.safe_load((HANDBOOK / "catalogue.yaml").read_text(encoding="utf-8"))
    needs = {entry["name"]: entry["needs"] for entry in document["types"]}
    owned = {(a["platform"], a["handle"]) for a in demo.organisation["accounts"]}
    for event in demo.events:
        name = event["type"].removeprefix(WIRE_PREFIX)
        if event["id"].startswith(("wrong-", "held-")) or event["type"].endswith(".voided"):
            continue
        data = event["data"]
        assert all(data.get(need) for need in needs[name]), event
        if "account" in data:
            assert (data.get("platform", name.split(".")[0]), data["account"]) in owned, event
