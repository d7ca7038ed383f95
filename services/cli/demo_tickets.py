"""The demonstration's tickets through the public interface: the desk's leader and one member do the work.

Every command carries a key of its own, so that loading it again changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from contracts.service_levels import ServiceLevels
from deploy.handbook.demo_people import cast
from deploy.handbook.demo_tickets import UNIT, DemoTicket, Desk, Step, desk
from deploy.local.instance import PROJECT, Instance
from deploy.local.process import RunnerError
from services.cli.access import Access
from services.cli.documents import read_document
from services.cli.levels import apply_levels

LEVELS = PROJECT / "deploy" / "handbook" / "service_levels.yaml"


def planned(instance: Instance, now: datetime, seed: int) -> Desk:
    """Return the tickets to load: those of the first time, whenever it is done again."""
    kept = instance.home / "demo-tickets.json"
    try:
        as_of = datetime.fromisoformat(json.loads(kept.read_text())["as_of"])
    except (FileNotFoundError, ValueError, KeyError):
        as_of = now
        kept.write_text(json.dumps({"as_of": now.isoformat()}))
    return desk(as_of, seed)


def load_desk(instance: Instance, plan: Desk, since: date, advance: Callable[[], None]) -> None:
    """Load service levels, projects, topics, customers and tickets; `advance` is called for each ticket."""
    staff = [person.number for person in cast(since) if person.unit == UNIT]
    with (
        Access(instance, "director") as director,
        Access(instance, "group_leader", person=staff[0], unit=UNIT) as leader,
        Access(instance, "member", person=staff[1], unit=UNIT) as member,
    ):
        _levels(director)
        for kind, entries in (("projects", plan.projects), ("topics", plan.topics)):
            for name, entry in entries.items():
                _once(director, "PUT", f"/v1/{kind}/{name}", entry, f"{kind}-{name}")
        customers = [
            _once(leader, "POST", "/v1/customers", body, f"customer-{n}")["customer"]
            for n, body in enumerate(plan.customers)
        ]
        for ticket in plan.tickets:
            _work(leader, member, ticket, customers[ticket.customer], staff[1])
            advance()


def _levels(director: Access) -> None:
    """Load the handbook's service levels, unless a later version stands already."""
    try:
        apply_levels(director, read_document(LEVELS, ServiceLevels, "service_levels"))
    except RunnerError as error:
        if error.code not in ("version_exists", "version_not_next"):
            raise


def _work(leader: Access, member: Access, ticket: DemoTicket, customer: str, assignee: str) -> None:
    body = {**ticket.body, "customer": customer}
    path = "/v1/tickets"
    number = _once(leader, "POST", path, body, f"ticket-{ticket.key}")["ticket"]
    assigned = False
    for place, step in enumerate(ticket.steps):
        who = member if assigned and step.path not in ("assignee", "hand-over") else leader
        _once(who, step.method, f"{path}/{number}/{step.path}", _filled(step, assignee), f"step-{ticket.key}-{place}")
        assigned = assigned or step.path == "assignee"


def _filled(step: Step, assignee: str) -> dict[str, Any] | None:
    return None if step.body is None else {k: assignee if v == "{member}" else v for k, v in step.body.items()}


def _once(access: Access, method: str, path: str, body: dict[str, Any] | None, key: str) -> dict[str, Any]:
    """Send one command under a key of its own."""
    headers = {"Idempotency-Key": f"demo-{key}"}
    more: dict[str, Any] = {} if body is None else {"content": json.dumps(body, default=str).encode()}
    if body is not None:
        headers["Content-Type"] = "application/json"
    answer: dict[str, Any] = access.call(method, "tickets", path, headers=headers, **more)
    return answer
