"""`opsledger levels apply` sends what the file says and explains what is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from deploy.local.instance import PROJECT, Instance
from deploy.local.process import RunnerError
from tests.cli.conftest import Service

Run = Callable[..., Result]
HANDBOOK = PROJECT / "deploy" / "handbook" / "service_levels.yaml"


def test_the_handbook_s_levels_are_loaded_once(instance: Instance, service: Service, run: Run) -> None:
    service.routes["POST /v1/service-levels"] = lambda *_: (200, {"changed": True, "version": 1})
    assert "loaded" in run("levels", "apply", str(HANDBOOK)).stdout
    assert json.loads(service.asked_for("POST /v1/service-levels")[0])["version"] == 1
    service.routes["POST /v1/service-levels"] = lambda *_: (200, {"changed": False, "version": 1})
    assert "stood already" in run("levels", "apply", str(HANDBOOK)).stdout


def test_a_dry_run_sends_nothing(service: Service, run: Run) -> None:
    assert "version 1" in run("levels", "apply", str(HANDBOOK), "--dry-run").stdout
    assert service.asked == []


def test_a_wrong_field_is_named(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "levels.yaml"
    file.write_text("title: x\nversion: 0\neffective: 2026-01-01T00:00:00Z\ncalendar: {week: {}}\nrules: []\n")
    error = run("levels", "apply", str(file)).exception
    assert isinstance(error, RunnerError)
    assert error.code == "bad_service_levels"
    assert error.remedy == "contracts/schemas/ServiceLevels.json"
