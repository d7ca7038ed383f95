"""Who may do what: one table, action -> role -> scope, read by every service. Source: handbook, "Who may do what".

A route names its action; whoever holds a role that the action lists may do it, as far as the role's scope reaches.
Nothing here decides about a single request: services compare the scope with what is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from contracts.org import Role, RoleGrant

Scope = Literal["own", "unit", "parent", "all"]
"""How far a permission reaches, from narrow to wide.

`own`: oneself (a person's own staff number, a publisher's own name). `unit`: the units of the role's grants and
everything below them (and oneself). `parent`: the same and the totals of the unit directly above. `all`: everything.
"""

_WIDTH: Mapping[Scope, int] = {"own": 0, "unit": 1, "parent": 2, "all": 3}

Rule = Mapping[Role, Scope]

_CENTRE: Rule = {"director": "all", "assistant": "all"}
_PERSONS: Rule = {
    "director": "all",
    "assistant": "all",
    "department_head": "all",
    "group_leader": "all",
    "member": "all",
    "auditor": "all",
    "operator": "all",
}
_EVERYBODY: Rule = {**_PERSONS, "publisher": "all", "service": "all"}
_FIGURES: Rule = {
    **_CENTRE,
    "department_head": "unit",
    "group_leader": "unit",
    "member": "own",
    "auditor": "all",
    "service": "all",
}
_VOIDS: Rule = {**_CENTRE, "department_head": "unit"}
_TICKETS: Rule = {"department_head": "unit", "group_leader": "unit", "member": "unit"}
_LEADERS: Rule = {"department_head": "unit", "group_leader": "unit"}
_STATUS: Rule = {**_CENTRE, "auditor": "all", "operator": "all", "service": "all"}

TABLE: Mapping[str, Rule] = {
    # organisation: units and posts are for everybody, people and accounts as far as the scope reaches
    "org.read": {**_FIGURES, "member": "unit", "operator": "all"},
    "org.write": _CENTRE,
    "roles.write": {"director": "all"},
    "passwords.write": {
        "director": "all",
        **dict.fromkeys(("assistant", "department_head", "group_leader"), "own"),
        **dict.fromkeys(("member", "auditor", "operator"), "own"),
    },
    "publishers.read": {**_STATUS, "publisher": "own"},
    "publishers.manage": {"operator": "all"},
    "keys.manage": {"operator": "all"},
    "principals.revoke": {"director": "all", "operator": "all"},
    # activities
    "activity.publish": {"publisher": "own"},
    "activity.record": {"group_leader": "unit", "member": "own"},
    "activity.void": _VOIDS,
    "activity.correct": _VOIDS,
    "activity.status": {**_FIGURES, "operator": "all", "publisher": "own"},
    "evidence.read": _FIGURES,
    "catalogue.read": _EVERYBODY,
    "catalogue.write": _CENTRE,
    "quarantine.read": {**_CENTRE, "auditor": "all", "operator": "all", "publisher": "own"},
    "quarantine.mend": {"operator": "all"},
    "holds.read": {**_CENTRE, "auditor": "all", "operator": "all", "publisher": "own"},
    "holds.correct": {"operator": "all"},
    # figures
    "figures.read": _FIGURES,
    "totals.read": {**_FIGURES, "department_head": "parent", "group_leader": "parent", "member": "unit"},
    "stream.read": _FIGURES,
    "alerts.read": _FIGURES,
    "figures.contest": {"member": "own"},
    "policy.read": {**_PERSONS, "service": "all"},
    "policy.apply": _CENTRE,
    "policy.approve": {"director": "all"},
    "months.close": {"director": "all"},
    "reports.export": {**_CENTRE, "department_head": "unit", "auditor": "all"},
    # tickets: by the unit that answers for them. The centre sees tickets, but what is sealed needs customers.read
    "tickets.publish": {"publisher": "own"},
    "tickets.read": {**_CENTRE, **_TICKETS, "auditor": "all", "service": "all"},
    "tickets.open": {**_CENTRE, **_TICKETS},
    "tickets.work": _TICKETS,
    "tickets.assign": {**_CENTRE, **_TICKETS},
    "tickets.hand_over": {**_CENTRE, **_TICKETS},
    "tickets.export": {**_CENTRE, **_LEADERS, "auditor": "all"},
    "customers.read": {**_TICKETS, "service": "all"},
    "customers.write": _TICKETS,
    "customers.erase": _CENTRE,
    "visits.work": _TICKETS,
    "needs.work": _TICKETS,
    "cases.coordinate": {**_CENTRE, **_LEADERS},
    "topics.write": {**_CENTRE, **_LEADERS},
    "statistics.read": {**_CENTRE, **_TICKETS, "auditor": "all", "service": "all"},
    "reports.submit": _TICKETS,
    "service_levels.read": {**_PERSONS, "service": "all"},
    "service_levels.write": _CENTRE,
    # ledger and operations
    "ledger.read": {"auditor": "all", "service": "all"},
    "ledger.verify": {"auditor": "all", "operator": "all"},
    "operations.read": _STATUS,
    "operations.rebuild": {"operator": "all"},
    "operations.heal": {"operator": "all"},
    "operations.backup": {"operator": "all"},
}

PUBLIC_PATHS: frozenset[str] = frozenset(
    {"/", "/status", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/token", "/.well-known/jwks.json"}
)
"""Paths that need no identity. `/docs` with its static files; `/` and `/status` are the portal's front page."""


def scope_of(action: str, grants: Iterable[RoleGrant]) -> tuple[Scope, tuple[str, ...]] | None:
    """Return (widest scope, units of the grants that carry it) for a principal's roles; None = not allowed.

    A unit-wide role that names no unit reaches no further than `own`. The units of narrower grants are kept beside
    those of the widest, so that a leader of one group who is a member of another sees both as the table says.
    KeyError: there is no such action.
    """
    rule = TABLE[action]
    best: Scope | None = None
    units: list[str] = []
    for grant in grants:
        scope = rule.get(grant.role)
        if scope is None:
            continue
        if scope in ("unit", "parent"):
            if grant.unit is None:
                scope = "own"
            elif grant.unit not in units:
                units.append(grant.unit)
        if best is None or _WIDTH[scope] > _WIDTH[best]:
            best = scope
    return None if best is None else (best, tuple(units))
