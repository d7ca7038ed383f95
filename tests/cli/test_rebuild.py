"""`opsledger rebuild` finds the projection, waits for it, and its exit status says whether rows differed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from deploy.local.instance import Instance
from deploy.local.process import RunnerError
from services.cli import projections, rebuild
from tests.cli.conftest import Service

Run = Callable[..., Result]


class Kpi:
    """A service with one projection whose rebuild ends with a given report after some looks."""

    def __init__(self, service: Service, **report: Any) -> None:
        self.report = {
            "live": 1, "rebuilt": 2, "switched": True, "commits": 40, "seconds": 0.5, "positions": "org:3",
            "differences": [], **report,
        }  # fmt: skip
        self.job: dict[str, Any] | None = None
        self.looks = 0
        self.options: dict[str, Any] = {}
        service.routes["GET /v1/projections"] = self.state
        service.routes["POST /v1/projections/facts/rebuild"] = self.start
        service.routes["POST /v1/projections/facts/undo"] = lambda *_: (200, {"data": {"live_version": 1}})

    def start(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.options = json.loads(body)
        self.job, self.looks = {"state": "running", "done": 1, "of": 40}, 0
        return 202, {"data": self.job}

    def state(self, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.looks += 1
        if self.job is not None and self.looks > 2:
            self.job = self.report.get("job") or {"state": "done", "report": self.report}
        return 200, {"data": [{"name": "facts", "rebuild": self.job, "holds": []}]}


@pytest.fixture(autouse=True)
def one_service(monkeypatch: pytest.MonkeyPatch, instance: Instance) -> None:
    monkeypatch.setattr(rebuild, "deciding_services", lambda: ["kpi"])
    monkeypatch.setattr(projections, "EVERY", 0.0)


def test_equal_rows_are_switched(service: Service, run: Run) -> None:
    kpi = Kpi(service)
    result = run("rebuild", "facts")
    assert result.exit_code == 0
    assert "facts: 40 commits in 0.5 s, no differences at org:3" in result.stdout
    assert "version 2 is live" in result.stdout
    assert kpi.options == {"switch": True, "accept": False}


def test_differing_rows_are_listed_and_the_live_version_stays(service: Service, run: Run) -> None:
    row = {"table": "day_fact", "side": "live", "row": {"quantity": "3"}}
    kpi = Kpi(service, switched=False, differences=[row])
    result = run("rebuild", "kpi/facts", "--compare")
    assert result.exit_code == 1
    assert "day_fact, only live: {'quantity': '3'}" in result.stdout
    assert "version 1 stays live" in result.stdout
    assert kpi.options["switch"] is False


def test_accepted_differences_are_no_failure(service: Service, run: Run) -> None:
    row = {"table": "day_fact", "side": "live", "row": {}}
    assert Kpi(service, differences=[row]).report["switched"]
    assert run("rebuild", "facts", "--accept").exit_code == 0


def test_a_failed_rebuild_says_why(service: Service, run: Run) -> None:
    Kpi(service, job={"state": "failed", "error": "disk full"})
    error = run("rebuild", "facts").exception
    assert isinstance(error, RunnerError)
    assert (error.code, error.detail) == ("rebuild_failed", "disk full")


def test_an_unknown_name_lists_the_known_ones(service: Service, run: Run) -> None:
    Kpi(service)
    error = run("rebuild", "org/facts").exception
    assert isinstance(error, RunnerError)
    assert (error.code, error.remedy) == ("unknown_projection", "one of: kpi/facts")


def test_the_version_before_can_be_made_live_again(service: Service, run: Run) -> None:
    Kpi(service)
    assert "version 1 is live again" in run("rebuild", "facts", "--undo").stdout
