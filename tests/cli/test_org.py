"""`opsledger org apply` sends the file as it is and prints what changes; publishers' tokens are shown once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from deploy.local.instance import Instance
from deploy.local.process import RunnerError
from tests.cli.conftest import Service

Run = Callable[..., Result]
CHANGE = {"kind": "person", "id": "1001", "action": "change", "field": "name", "old": "王明", "new": "王小明"}


def answer(applied: bool, changes: list[dict[str, Any]]) -> dict[str, Any]:
    summary = {"person": {"change": len(changes)}} if changes else {}
    return {"applied": applied, "events": len(changes), "summary": summary, "changes": changes, "positions": "org:9"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("person,name\n1001,王小明\n")
    return path


def test_a_dry_run_prints_what_would_change(instance: Instance, service: Service, run: Run, file: Path) -> None:
    service.routes["POST /v1/organisation/import"] = lambda *_: (200, answer(False, [CHANGE]))
    result = run("org", "apply", str(file), "--dry-run", "--reason", "renamed")
    assert result.stdout == "  ~ person 1001  name: 王明 -> 王小明\nwould apply: person: 1 changed\n"
    asked, headers, body = service.asked[-1]
    assert asked == "POST /v1/organisation/import?dry_run=true&reason=renamed"
    assert headers["content-type"] == "text/csv"
    assert body == file.read_bytes()


def test_an_applied_file_is_said_so_and_long_lists_are_cut(
    instance: Instance, service: Service, run: Run, file: Path
) -> None:
    service.routes["POST /v1/organisation/import"] = lambda *_: (200, answer(True, [CHANGE] * 50))
    lines = run("org", "apply", str(file)).stdout.splitlines()
    assert len(lines) == 42
    assert lines[-2:] == ["  ... and 10 more (--all)", "applied: person: 50 changed"]
    assert len(run("org", "apply", str(file), "--all").stdout.splitlines()) == 51
    service.routes["POST /v1/organisation/import"] = lambda *_: (200, answer(True, []))
    assert run("org", "apply", str(file)).stdout == "nothing to change\n"


def test_a_file_of_another_kind_is_refused(run: Run, tmp_path: Path) -> None:
    error = run("org", "apply", str(tmp_path / "people.xlsx")).exception
    assert isinstance(error, RunnerError)
    assert error.code == "unknown_kind"


def test_a_publisher_token_is_shown_once_and_can_be_rotated(instance: Instance, service: Service, run: Run) -> None:
    service.routes["POST /v1/publishers/bot/token"] = lambda *_: (200, {"changed": True, "token": "olp_1"})
    assert run("org", "publisher-token", "bot").stdout == "olp_1\n"
    service.routes["POST /v1/publishers/bot/token"] = lambda *_: (200, {"changed": False, "token": None})
    service.routes["POST /v1/publishers/bot/token/rotation"] = lambda *_: (200, {"changed": True, "token": "olp_2"})
    error = run("org", "publisher-token", "bot").exception
    assert isinstance(error, RunnerError)
    assert error.code == "already_issued"
    assert run("org", "publisher-token", "bot", "--rotate").stdout == "olp_2\n"
