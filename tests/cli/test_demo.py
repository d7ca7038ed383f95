"""`opsledger demo` loads everything through the public interfaces; loaded again, it counts nothing twice."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import Result

from deploy.handbook.demo_tickets import desk
from deploy.local.instance import Instance
from tests.cli.conftest import Service

Run = Callable[..., Result]


class System:
    """Org, kpi, activity and tickets as far as the demonstration needs them."""

    def __init__(self, service: Service) -> None:
        self.tokens: dict[str, str] = {}
        self.issued = 0
        self.known: set[tuple[str, str]] = set()
        self.by_token: Counter[str] = Counter()
        self.people: list[Any] = []
        self.service = service
        service.routes["POST /v1/token"] = self.token
        service.routes["POST /v1/organisation/import"] = self.organisation
        service.routes["POST /v1/policies"] = lambda *_: (201, {"data": {"applied": True}})
        service.routes["POST /v1/events"] = self.events
        self.keys: Counter[str] = Counter()  # of the commands on tickets
        self._tickets()

    def _tickets(self) -> None:
        plan = desk(datetime.now(UTC))
        self.service.routes["POST /v1/service-levels"] = lambda *_: (200, {"changed": True, "version": 1})
        paths = ["POST /v1/customers", "POST /v1/tickets"]
        paths += [f"PUT /v1/projects/{name}" for name in plan.projects]
        paths += [f"PUT /v1/topics/{name}" for name in plan.topics]
        steps = {(step.method, step.path) for ticket in plan.tickets for step in ticket.steps}
        paths += [f"{method} /v1/tickets/T1/{path}" for method, path in steps]
        self.service.routes.update(dict.fromkeys(paths, self.command))

    def command(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.keys[f"{headers['idempotency-key']} {body!r}"] += 1
        return 200, {"changed": True, "customer": "C1", "ticket": "T1"}

    def token(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        grant = json.loads(body)
        if grant["grant"] == "publisher" and self.tokens.get(grant["publisher"]) != grant["token"]:
            return 401, {"code": "grant_refused", "detail": "no"}
        return 200, {"access_token": grant.get("publisher", grant.get("role")), "expires_in": 600}

    def organisation(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        document = json.loads(body)
        self.people = document["people"]
        for entry in document["publishers"]:
            path = f"POST /v1/publishers/{entry['publisher']}/token"
            self.service.routes[path] = lambda *_, name=entry["publisher"]: self.issue(name, False)
            self.service.routes[f"{path}/rotation"] = lambda *_, name=entry["publisher"]: self.issue(name, True)
        return 200, {"applied": True, "events": 1, "summary": {}, "changes": [], "positions": ""}

    def issue(self, publisher: str, rotate: bool) -> tuple[int, Any]:
        if publisher in self.tokens and not rotate:
            return 200, {"changed": False, "token": None}
        self.issued += 1
        self.tokens[publisher] = f"olp_{self.issued}"
        return 200, {"changed": True, "token": self.tokens[publisher]}

    def events(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        results = []
        for index, event in enumerate(json.loads(body)):
            assert headers["authorization"] == f"Bearer {event['source']}"
            key = (event["source"], event["id"])
            outcome = "duplicate" if key in self.known else "recorded"
            self.known.add(key)
            results.append({"index": index, "id": event["id"], "outcome": outcome})
        return 200, {"results": results, "position": "activity.0:1"}


@pytest.fixture
def system(service: Service, instance: Instance) -> System:
    return System(service)


def test_the_demonstration_is_loaded_once(system: System, run: Run) -> None:
    result = run("demo")
    assert result.exit_code == 0
    assert len(system.people) >= 40
    assert len(system.known) > 1000
    assert "put in force" in result.stdout
    loaded, issued = len(system.known), system.issued
    again = run("demo")
    assert len(system.known) - loaded < 50  # only what has happened since
    assert f"recorded {len(system.known) - loaded}" in again.stdout or "recorded" not in again.stdout
    assert system.issued == issued
    assert set(system.keys.values()) == {2}, "the same commands under the same keys: they count once"


def test_tokens_that_somebody_rotated_are_made_anew(system: System, run: Run, instance: Instance) -> None:
    run("demo")
    system.tokens = dict.fromkeys(system.tokens, "rotated by hand")
    assert run("demo").exit_code == 0
    assert (instance.home / "demo-publishers.json").stat().st_mode & 0o077 == 0


def test_a_refusal_in_the_middle_is_shown_and_the_rest_can_follow(system: System, run: Run, service: Service) -> None:
    service.routes["POST /v1/events"] = lambda *_: (403, {"code": "not_allowed", "detail": "no"})
    error: Any = run("demo").exception
    assert error.code == "not_allowed"
    service.routes["POST /v1/events"] = system.events
    assert run("demo").exit_code == 0
