"""Attainments as JSON: exact fractions as text ("59/2"), a ratio for the screen beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from services.kernel.errors import Refusal
from services.kpi.facts import Period, parse_period, period_of
from services.kpi.policies import PolicyVersion, for_period, waiting_in
from services.kpi.roster import Roster
from services.kpi.rules import Attainment


def figure(attainment: Attainment, version: PolicyVersion | None, roster: Roster) -> dict[str, Any]:
    """Return one figure with its quota's names; `ratio` is exact, `percent` rounded for the screen."""
    quota = version.quota(attainment.quota) if version else None
    ratio = attainment.ratio
    row: dict[str, Any] = {
        "quota": attainment.quota,
        "row": quota.row if quota else None,
        "name_zh": quota.name_zh if quota else None,
        "name_en": quota.name_en if quota else None,
        "version": attainment.version,
        "scope": attainment.scope,
        "id": attainment.id,
        "period": attainment.period,
        **_standing(attainment),
        "ratio": None if ratio is None else str(ratio),
        "due_days": attainment.due_days,
        "elapsed_days": attainment.elapsed,
    }
    name = _name(attainment, roster)
    if name:
        row["name"] = name
    if attainment.person is not None:
        row["person"] = attainment.person
    return row


def assessed_under(versions: Sequence[PolicyVersion], asked: Period) -> dict[str, Any] | None:
    """Return which policy version a period is assessed under, and the one that has begun within it and waits."""
    found, waiting = for_period(versions, asked), waiting_in(versions, asked)
    if found is None:
        return None
    said: dict[str, Any] = {"version": found.version, "effective": found.policy.effective.isoformat()}
    if waiting is not None:
        following = period_of(asked.kind, date.fromordinal(asked.last + 1))
        said["waiting"] = {
            "version": waiting.version,
            "effective": waiting.policy.effective.isoformat(),
            "from_period": following.text,
        }
    return said


def cell(attainment: Attainment) -> dict[str, Any]:
    """Return one cell of a table: what changes from cell to cell."""
    return _standing(attainment)


def _standing(attainment: Attainment) -> dict[str, Any]:
    done, due = attainment.done, attainment.due
    return {
        "done": str(done),
        "due": str(due),
        "percent": round(float(done / due) * 100, 1) if due else None,
        "status": attainment.status,
        "met": attainment.met,
        "last_activity": attainment.last_day.isoformat() if attainment.last_day else None,
    }


def _name(attainment: Attainment, roster: Roster) -> str:
    if attainment.scope == "person":
        return roster.name(attainment.id)
    if attainment.scope == "unit":
        unit = roster.units.get(attainment.id)
        return unit.name_zh if unit else ""
    if attainment.scope == "pair":
        return " + ".join(roster.name(person) or person for person in attainment.id.split("+", 1))
    return ""


def columns(version: PolicyVersion, wanted: Iterable[str]) -> list[dict[str, Any]]:
    """Return a table's columns, in the policy's order."""
    shown = set(wanted)
    return [
        {
            "quota": quota.id,
            "row": quota.row,
            "name_zh": quota.name_zh,
            "name_en": quota.name_en,
            "target": quota.target,
            "period": quota.period,
        }
        for quota in version.active
        if quota.id in shown
    ]


def period(text: str, field: str = "period") -> Period:
    """Return the period that a parameter names; Refusal `bad_period` for anything else."""
    try:
        asked = parse_period(text)
        date.fromordinal(asked.last + 1)  # rules look a day beyond; the calendar has an end
    except ValueError as error:
        raise Refusal(
            "bad_period",
            str(error),
            status=422,
            field=field,
            remedy="Write a month 2026-10, an ISO week 2026-W43 or a day 2026-10-17.",
        ) from error
    return asked
