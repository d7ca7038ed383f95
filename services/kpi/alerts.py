"""Alerts: one aggregate for each (quota, version, scope, id, period), with transitions that are each decided once.

Pure: what a figure says now against what was decided before. `raised`/`cleared`: at risk and back; `met`/`unmet`: what
is due is done, and no longer (a void); `missed`: the period is over. Source: ARCHITECTURE, "Reaction"; handbook, H-74.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.kpi import AlertChanged, ScopeKind, Transition
from services.kpi.rules import Attainment

Key = tuple[str, int, str, str, str]


@dataclass(frozen=True, slots=True)
class Alert:
    """What was decided so far."""

    raised: bool = False
    verdict: Literal["met", "missed"] | None = None


NEW = Alert()


def key_of(figure: Attainment) -> Key:
    """Return the alert's key."""
    return (figure.quota, figure.version, figure.scope, figure.id, figure.period)


def aggregate_of(key: Key) -> str:
    """Return the aggregate's id."""
    quota, version, scope, scope_id, period = key
    return f"alert:{quota}:{version}:{scope}:{scope_id}:{period}"


def transitions(alert: Alert, figure: Attainment, *, complete: bool) -> list[Transition]:
    """Return what is new. `complete`: every input of the period is applied, so that "missed" may be said."""
    if figure.met:
        return _named(("cleared", alert.raised), ("met", alert.verdict != "met"))
    changes = _named(("unmet", alert.verdict == "met"))
    if figure.status == "missed":
        return changes + _named(("missed", complete and alert.verdict != "missed"))
    if figure.status == "at_risk":
        return changes + _named(("raised", not alert.raised))
    return changes + _named(("cleared", alert.raised or alert.verdict == "missed"))


def _named(*candidates: tuple[Transition, bool]) -> list[Transition]:
    return [name for name, applies in candidates if applies]


def evolve(alert: Alert, transition: Transition) -> Alert:
    """Return the alert after a transition."""
    if transition == "raised":
        return Alert(raised=True, verdict=None)
    if transition == "met":
        return Alert(raised=False, verdict="met")
    if transition == "missed":
        return Alert(raised=alert.raised, verdict="missed")
    if transition == "unmet":
        return Alert(raised=alert.raised, verdict=None)
    return Alert(raised=False, verdict=None if alert.verdict == "missed" else alert.verdict)


def fold(events: Iterable[AlertChanged]) -> Alert:
    """Return the alert that its events make."""
    alert = NEW
    for event in events:
        alert = evolve(alert, event.transition)
    return alert


def decide(
    alert: Alert, figure: Attainment, instant: datetime, positions: dict[str, int], *, complete: bool
) -> list[AlertChanged]:
    """Return the events of an alert whose figure stands as given at `instant`, having read `positions`."""
    quota, version, _, scope_id, period = key_of(figure)
    scope: ScopeKind = figure.scope
    return [
        AlertChanged(
            quota=quota,
            version=version,
            scope=scope,
            id=scope_id,
            period=period,
            transition=transition,
            done=str(figure.done),
            due=str(figure.due),
            at=instant,
            positions=positions,
        )
        for transition in transitions(alert, figure, complete=complete)
    ]
