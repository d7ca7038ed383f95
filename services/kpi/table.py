"""A unit's table: its people and their figures, kept until what they were computed from is other.

A cell depends on the person's series of the quota's types only, so an activity costs the cells that it may change and
no others. Cells and rows are kept encoded: an unchanged table is read out, not computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from contracts.kpi import Quota
from services.kpi import rendering
from services.kpi.facts import Facts, Period
from services.kpi.figures import Figures, Snapshot, has_row
from services.kpi.policies import PolicyVersion, for_period
from services.kpi.rules import attain
from services.kpi.rules_rows import periods, scopes

Trace = tuple[int, ...]  # last commits of the series that a cell may count
NOTHING = msgspec.Raw(b"null")  # no row of this quota: nothing done, and the person is not bound


async def table_of(source: Figures, at: Snapshot, unit: str, period: Period) -> dict[str, Any]:
    """Return {"columns", "rows": [{person, name, cells}], "totals"} of a unit and what is below it."""
    version = for_period(at.policies, period)
    people = sorted(at.roster.organisation.members(unit, period))
    cells: dict[str, Any] = {person: {} for person in people}
    totals: Any = {}
    if version is not None:
        cells, totals = await _figures(source, at, unit, people, version, period)
    return {
        "unit": unit,
        "period": period.text,
        "version": version.version if version else None,
        "columns": rendering.columns(version, _shown(version, period)) if version else [],
        "rows": [{"person": p, "name": at.roster.name(p), "cells": cells[p]} for p in people],
        "totals": totals,
    }


async def _figures(
    source: Figures, at: Snapshot, unit: str, people: list[str], version: PolicyVersion, period: Period
) -> tuple[dict[str, Any], Any]:
    """Return the people's cells and the unit's totals; computed where no kept row has the same origin."""
    revisions = await source.store.revisions(at.conn, people, period)
    state = (period, at.today, at.roster.version, at.roster.position, version.version)
    stamps: dict[str, list[tuple[int, int]]] = {person: [] for person in people}
    for (person, month), revision in sorted(revisions.items()):
        stamps[person].append((month, revision))
    keys = {person: (person, state, tuple(stamps[person])) for person in people}
    unit_key = (unit, state, tuple(keys.values()))
    totals = source.rows.get(unit_key)
    cells = {person: source.rows.get(keys[person]) for person in people}
    missing = [person for person in people if cells[person] is None]
    if not missing and totals is not None:
        return cells, totals
    facts = await source.store.load(at.conn, at.version, people, period)
    maker = _Maker(source, at, version, period, facts, state)
    for person in missing:
        cells[person] = maker.row(person)
        source.rows.put(keys[person], cells[person])
    if totals is None:
        totals = maker.totals(unit, people)
        source.rows.put(unit_key, totals)
    return cells, totals


class _Maker:
    """Computes cells out of one set of facts, as far as none is kept."""

    def __init__(
        self,
        source: Figures,
        at: Snapshot,
        version: PolicyVersion,
        period: Period,
        facts: Facts,
        state: tuple[Any, ...],
    ) -> None:
        self._kept = source.rows
        self._at = at
        self._version = version
        self._period = period
        self._facts = facts
        self._state = state
        self._quotas = [(quota, _types(quota)) for quota in version.active if period.kind in periods(quota)]

    def row(self, person: str) -> msgspec.Raw:
        """Return a person's cells, encoded."""
        cells = {
            quota.id: cell
            for quota, types in self._quotas
            if "person" in scopes(quota)
            and (cell := self._cell(quota, "person", person, self._trace(person, types))) is not NOTHING
        }
        return msgspec.Raw(msgspec.json.encode(cells))

    def totals(self, unit: str, people: list[str]) -> msgspec.Raw:
        """Return a unit's cells, encoded."""
        return msgspec.Raw(
            msgspec.json.encode(
                {
                    quota.id: self._cell(quota, "unit", unit, tuple(self._trace(p, types) for p in people))
                    for quota, types in self._quotas
                }
            )
        )

    def _cell(self, quota: Quota, scope: Any, scope_id: str, trace: tuple[Any, ...]) -> msgspec.Raw:
        key = (quota.id, scope, scope_id, self._state, trace)
        found: msgspec.Raw | None = self._kept.get(key)
        if found is None:
            organisation, today = self._at.roster.organisation, self._at.today
            figure = attain(
                quota, scope, scope_id, self._period, self._facts, organisation, today, version=self._version.version
            )
            shown = has_row(quota, figure, self._period, self._at)
            found = msgspec.Raw(msgspec.json.encode(rendering.cell(figure))) if shown else NOTHING
            self._kept.put(key, found)
        return found

    def _trace(self, person: str, types: Iterable[str]) -> Trace:
        """Return what tells one state of the person's series of these types from another.

        Every change moves a series' last commit on, and a series that vanishes takes its own with it.
        """
        series = self._facts.by_person.get(person)
        if series is None:
            return ()
        return tuple(sorted([one.last_commit for name in types if name in series for one in series[name]]))


def _types(quota: Quota) -> tuple[str, ...]:
    return tuple(sorted({name for selector in (quota.selector, *quota.also) for name in selector.types}))


def _shown(version: PolicyVersion, period: Period) -> set[str]:
    return {quota.id for quota in version.active if period.kind in periods(quota)}
