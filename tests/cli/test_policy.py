"""`opsledger policy apply` sends what the file says and explains what is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from deploy.local.instance import PROJECT, Instance
from deploy.local.process import RunnerError
from tests.cli.conftest import Service

Run = Callable[..., Result]
HANDBOOK = PROJECT / "deploy" / "handbook" / "policy.yaml"


def test_the_handbook_s_policy_is_applied_once(instance: Instance, service: Service, run: Run) -> None:
    service.routes["POST /v1/policies"] = lambda *_: (201, {"data": {"applied": True}, "position": "kpi:1"})
    assert "version 1, from 2020-01-01: in force" in run("policy", "apply", str(HANDBOOK)).stdout
    sent = json.loads(service.asked_for("POST /v1/policies")[0])
    assert "H-29b" in {quota["id"] for quota in sent["quotas"]}
    service.routes["POST /v1/policies"] = lambda *_: (200, {"data": {"applied": False}, "position": "kpi:1"})
    assert "stood already" in run("policy", "apply", str(HANDBOOK)).stdout


def test_a_dry_run_sends_nothing(service: Service, run: Run) -> None:
    assert "version 1" in run("policy", "apply", str(HANDBOOK), "--dry-run").stdout
    assert service.asked == []


def test_a_wrong_field_is_named(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("title: x\nversion: 0\neffective: 2026-01-01\nquotas: []\n")
    error = run("policy", "apply", str(file)).exception
    assert isinstance(error, RunnerError)
    assert (error.code, error.detail.partition(":")[0]) == ("bad_policy", "version")


def test_other_content_under_a_version_that_stands_is_refused(instance: Instance, service: Service, run: Run) -> None:
    problem = {"code": "policy_version_taken", "detail": "version 1 stands", "remedy": "a new version number"}
    service.routes["POST /v1/policies"] = lambda *_: (409, problem)
    error = run("policy", "apply", str(HANDBOOK)).exception
    assert isinstance(error, RunnerError)
    assert error.code == "policy_version_taken"
