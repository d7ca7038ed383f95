"""Who may do what: every route of every service names an action or is public; and the table, role by role."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from contracts.access import PUBLIC_PATHS, TABLE, scope_of
from contracts.org import Role, RoleGrant
from services.kernel.auth import Allow, allow
from services.kernel.settings import Settings

SERVICES = ("org", "activity", "tickets", "kpi", "portal")


def routes_of(app: Any) -> Iterator[APIRoute]:
    """Every API route, those of included routers too, however deep (FastAPI may keep them nested)."""
    for route in getattr(app, "routes", []):
        yield from _flat(route)


def _flat(route: Any) -> Iterator[APIRoute]:
    if isinstance(route, APIRoute):
        yield route
    elif hasattr(route, "effective_candidates"):
        for candidate in route.effective_candidates():
            found = getattr(candidate, "original_route", None) or getattr(candidate, "route", candidate)
            if found is not route:
                yield from _flat(found)
    elif hasattr(route, "original_router"):
        yield from routes_of(route.original_router)


def actions_of(dependant: Dependant) -> Iterator[str]:
    if isinstance(dependant.call, Allow):
        yield dependant.call.action
    for inner in dependant.dependencies:
        yield from actions_of(inner)


def app_of(service: str) -> FastAPI:
    module = importlib.import_module(f"services.{service}.app")
    app: FastAPI = module.create(Settings(service=service, database_url="postgresql://nobody@127.0.0.1:1/none"))
    return app


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_names_its_action_or_is_public(service: str) -> None:
    app = app_of(service)
    routes = list(routes_of(app))
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    walked = {(method, route.path_format) for route in routes for method in route.methods}
    assert described <= walked  # nothing is missed
    for route in routes:
        actions = set(actions_of(route.dependant))
        if route.path in PUBLIC_PATHS:
            continue
        assert actions, f"{service}: {sorted(route.methods)} {route.path} names no action"
        assert actions <= set(TABLE)


def test_the_ledger_s_routes_are_for_services_and_auditors() -> None:
    from services.kernel.ledger_api import ledger_router

    router = ledger_router(allow("ledger.read").dependency)
    for route in router.routes:
        assert isinstance(route, APIRoute)
        assert set(actions_of(route.dependant)) == {"ledger.read"}


def test_an_action_that_the_table_does_not_have_fails_where_it_is_named() -> None:
    with pytest.raises(LookupError):
        allow("figures.reed")


def test_every_role_is_one_that_the_contract_has() -> None:
    assert {role for rule in TABLE.values() for role in rule} <= set(get_args(Role))


# The handbook's table, a row a role: action -> scope; what is not listed is refused.
HANDBOOK: dict[str, dict[str, str]] = {
    "director": {
        "figures.read": "all", "totals.read": "all", "evidence.read": "all", "org.write": "all", "roles.write": "all",
        "policy.apply": "all", "policy.approve": "all", "activity.void": "all", "activity.correct": "all",
        "months.close": "all", "tickets.read": "all", "tickets.assign": "all", "customers.erase": "all",
        "service_levels.write": "all", "statistics.read": "all",
    },
    "assistant": {
        "figures.read": "all", "totals.read": "all", "evidence.read": "all", "org.write": "all", "policy.apply": "all",
        "activity.void": "all", "activity.correct": "all", "tickets.read": "all", "customers.erase": "all",
        "service_levels.write": "all",
    },
    "department_head": {
        "figures.read": "unit", "totals.read": "parent", "evidence.read": "unit", "activity.void": "unit",
        "activity.correct": "unit", "reports.export": "unit", "tickets.read": "unit", "tickets.hand_over": "unit",
        "customers.read": "unit", "cases.coordinate": "unit",
    },
    "group_leader": {
        "figures.read": "unit", "totals.read": "parent", "evidence.read": "unit", "activity.record": "unit",
    },
    "member": {
        "figures.read": "own", "totals.read": "unit", "evidence.read": "own", "activity.record": "own",
        "figures.contest": "own", "tickets.read": "unit", "tickets.work": "unit", "customers.read": "unit",
        "visits.work": "unit",
    },
    "auditor": {
        "figures.read": "all", "totals.read": "all", "evidence.read": "all", "ledger.read": "all",
        "ledger.verify": "all", "reports.export": "all", "quarantine.read": "all", "holds.read": "all",
    },
    "operator": {
        "operations.read": "all", "operations.rebuild": "all", "operations.heal": "all", "operations.backup": "all",
        "publishers.manage": "all", "quarantine.read": "all", "quarantine.mend": "all", "holds.read": "all",
        "activity.status": "all",
    },
    "publisher": {"activity.publish": "own", "activity.status": "own", "publishers.read": "own"},
    "service": {"ledger.read": "all", "evidence.read": "all", "org.read": "all", "figures.read": "all"},
}  # fmt: skip

WATCHED = sorted({action for allowed in HANDBOOK.values() for action in allowed} - {"reports.export"})


@pytest.mark.parametrize("role", sorted(HANDBOOK))
def test_a_role_may_what_the_handbook_says(role: Any) -> None:
    for action, scope in HANDBOOK[role].items():
        found = scope_of(action, [RoleGrant(role=role, unit="u")])
        assert found is not None, f"{role} may not {action}"
        assert found[0] == scope, f"{role} {action}"


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("assistant", "policy.approve"), ("assistant", "roles.write"), ("assistant", "months.close"),
        ("director", "publishers.manage"), ("director", "ledger.read"), ("director", "operations.rebuild"),
        ("department_head", "org.write"), ("department_head", "policy.apply"), ("group_leader", "activity.void"),
        ("member", "activity.void"), ("member", "org.write"), ("member", "quarantine.read"),
        ("auditor", "org.write"), ("auditor", "activity.void"), ("auditor", "quarantine.mend"),
        ("operator", "figures.read"), ("operator", "evidence.read"), ("operator", "org.write"),
        ("operator", "ledger.read"), ("operator", "activity.void"),
        ("publisher", "figures.read"), ("publisher", "evidence.read"), ("publisher", "org.read"),
        ("publisher", "activity.record"), ("publisher", "ledger.read"),
        ("service", "org.write"), ("service", "activity.void"), ("service", "activity.publish"),
        ("director", "customers.read"), ("assistant", "customers.read"), ("auditor", "customers.read"),
        ("operator", "tickets.read"), ("publisher", "tickets.read"), ("publisher", "tickets.work"),
        ("department_head", "customers.erase"), ("member", "customers.erase"), ("member", "tickets.export"),
        ("member", "service_levels.write"), ("service", "tickets.work"), ("service", "customers.erase"),
    ],
)  # fmt: skip
def test_a_role_may_not_what_is_another_s(role: Any, action: str) -> None:
    assert scope_of(action, [RoleGrant(role=role, unit="u")]) is None


def test_the_widest_of_several_roles_counts_and_their_units_are_kept() -> None:
    grants = [RoleGrant(role="member", unit="a"), RoleGrant(role="group_leader", unit="b")]
    assert scope_of("figures.read", grants) == ("unit", ("b",))
    assert scope_of("totals.read", grants) == ("parent", ("a", "b"))
    assert scope_of("figures.read", [*grants, RoleGrant(role="auditor")]) == ("all", ("b",))


def test_a_head_of_no_unit_reaches_no_further_than_oneself() -> None:
    assert scope_of("figures.read", [RoleGrant(role="department_head")]) == ("own", ())
