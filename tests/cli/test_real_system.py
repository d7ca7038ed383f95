"""The commands against the real thing: demonstration, the three ways of publishing, verify, rebuild, export."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import Result

from deploy.handbook.demo_people import cast
from services.cli.backup import heads_of, read_backup
from tests.running import RunningSystem

Run = Callable[..., Result]
SOMEONE = cast(date(2026, 11, 1))[0].number


@pytest.fixture(scope="module")
def loaded(system: RunningSystem) -> RunningSystem:
    system.opsledger("demo")
    return system


@pytest.fixture
def command(loaded: RunningSystem, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line on the loaded system, in this process: a process of its own each time costs seconds."""
    monkeypatch.setenv("OPSLEDGER_HOME", str(loaded.home))
    monkeypatch.setenv("OPSLEDGER_PORT", str(loaded.base_port))
    return run


def event(number: int, way: str, subject: str) -> str:
    document = {
        "specversion": "1.0",
        "id": f"{way}-{number}",
        "source": "workbench",
        "type": "opsledger.activity.seo.task",
        "subject": subject,
        "time": "2026-10-17T10:00:00+08:00",
        "data": {"title": f"任务 {number}"},
    }
    return json.dumps(document, ensure_ascii=False) + "\n"


def test_the_demonstration_is_repeatable(command: Run) -> None:
    again = command("demo").stdout
    assert "0 facts are new" in again
    assert "stood already" in again
    assert "duplicate" in again


@pytest.mark.parametrize("way", ["http", "nats", "inbox"])
def test_a_file_is_published_and_again_counts_once(command: Run, tmp_path: Path, way: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(event(n, way, SOMEONE) for n in range(250)) + event(250, way, ""))
    token = command("org", "publisher-token", "workbench", "--rotate").stdout.strip()
    as_whom = ("--publisher", "workbench", "--token", token, "--over", way, "--batch", "100")
    done = command("publish", str(file), *as_whom)
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit), done.exception
    assert "251 lines: recorded 250  rejected 1" in done.stdout
    assert "subject_missing" in (tmp_path / "events.jsonl.rejected.jsonl").read_text()
    assert "251 lines: duplicate 250  rejected 1" in command("publish", str(file), *as_whom, "--restart").stdout


def test_nothing_differs(command: Run) -> None:
    result = command("verify", "--json")
    checks = json.loads(result.stdout)
    assert [check for check in checks if check["findings"]] == []
    assert {"ledger org", "stream of activity.0", "read model kpi/facts"} <= {check["subject"] for check in checks}


def test_a_read_model_is_rebuilt_equal(command: Run) -> None:
    assert "no differences" in command("rebuild", "kpi/facts").stdout


def test_a_backup_holds_every_commit(command: Run, tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl.gz"
    assert command("ledger", "export", str(file)).exit_code == 0
    heads = heads_of(file)
    assert {"org", "kpi", "activity.0"} <= set(heads)
    assert len(list(read_backup(file))) == sum(heads.values())


def test_a_ledger_that_lost_nothing_is_left_alone(command: Run) -> None:
    assert "activity.0: nothing was lost" in command("ledger", "heal").stdout


def test_a_dropped_stream_is_filled_again(command: Run) -> None:
    assert "kpi: the stream was dropped and filled again with" in command("stream", "rebuild", "kpi").stdout
    result = command("verify", "--json", "--ledgers-only")
    assert [check for check in json.loads(result.stdout) if check["findings"]] == []


def test_a_stream_that_begins_later_is_filled_from_there_and_verified(command: Run) -> None:
    assert "commits from 3 on" in command("stream", "rebuild", "org", "--first-seq", "3").stdout
    result = command("verify", "--json")
    assert [check for check in json.loads(result.stdout) if check["findings"]] == []
    assert "org: there is no stream of an earlier epoch" in command("stream", "drop-old", "org").stdout
    beyond = command("stream", "rebuild", "org", "--first-seq", "100000")
    assert "first_out_of_range" in str(beyond.exception)
    assert command("stream", "rebuild", "org").exit_code == 0
