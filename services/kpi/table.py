"""A unit's table: its people and their figures, kept until facts, organisation, policy or the day are others."""

from __future__ import annotations

from typing import Any

from contracts.kpi import Quota
from services.kpi import rendering
from services.kpi.facts import Facts, Period
from services.kpi.figures import Figures, Snapshot
from services.kpi.policies import for_period
from services.kpi.rules import attain
from services.kpi.rules_rows import figures, periods, scopes

Cells = dict[str, dict[str, Any]]


async def table_of(source: Figures, at: Snapshot, unit: str, period: Period) -> dict[str, Any]:
    """Return {"columns", "rows": [{person, name, cells}], "totals"} of a unit and what is below it."""
    version = for_period(at.policies, period)
    organisation = at.roster.organisation
    people = sorted(organisation.members(unit, period))
    if version is None:
        rows = [{"person": person, "name": at.roster.name(person), "cells": {}} for person in people]
        return {"unit": unit, "period": period.text, "version": None, "columns": [], "rows": rows, "totals": {}}
    revisions = await source.store.revisions(at.conn, people, period)
    state = (period, at.today, at.roster.version, at.roster.position, version.version)
    stamps: dict[str, list[tuple[int, int]]] = {person: [] for person in people}
    for (person, month), revision in sorted(revisions.items()):
        stamps[person].append((month, revision))
    keys = {person: (person, state, tuple(stamps[person])) for person in people}
    unit_key = (unit, state, tuple(keys.values()))
    totals = source.rows.get(unit_key)
    cells: dict[str, Cells] = {person: source.rows.get(keys[person]) for person in people}
    missing = {person for person in people if cells[person] is None}
    if missing or totals is None:
        facts = await source.store.load(at.conn, people, period)
        for person, row in _cells(version.active, version.version, missing, period, facts, at).items():
            cells[person] = row
            source.rows.put(keys[person], row)
        if totals is None:
            totals = _totals(version.active, version.version, unit, period, facts, at)
            source.rows.put(unit_key, totals)
    wanted = {quota.id for quota in version.active if _shown(quota, period)}
    return {
        "unit": unit,
        "period": period.text,
        "version": version.version,
        "columns": rendering.columns(version, wanted | totals.keys()),
        "rows": [{"person": p, "name": at.roster.name(p), "cells": cells[p]} for p in people],
        "totals": totals,
    }


def _cells(
    quotas: tuple[Quota, ...], version: int, people: set[str], period: Period, facts: Facts, at: Snapshot
) -> dict[str, Cells]:
    found: dict[str, Cells] = {person: {} for person in people}
    if people:
        rows = figures(quotas, "person", period, facts, at.roster.organisation, at.today, version, people)
        for one in rows:
            found[one.id][one.quota] = rendering.cell(one)
    return found


def _totals(quotas: tuple[Quota, ...], version: int, unit: str, period: Period, facts: Facts, at: Snapshot) -> Cells:
    organisation = at.roster.organisation
    return {
        quota.id: rendering.cell(attain(quota, "unit", unit, period, facts, organisation, at.today, version=version))
        for quota in quotas
        if period.kind in periods(quota)
    }


def _shown(quota: Quota, period: Period) -> bool:
    return "person" in scopes(quota) and period.kind in periods(quota)
