"""`opsledger publish`: counts what became of each line, keeps the rejected ones, goes on where it was interrupted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from deploy.local.process import RunnerError
from tests.cli.conftest import Service

Run = Callable[..., Result]


def line(number: int, **more: object) -> str:
    return json.dumps({"specversion": "1.0", "id": f"e{number}", "source": "bot", **more}) + "\n"


class Intake:
    """Records each id once, as activity does; rejects events without `subject`; fails at request `fails_at`."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.fails_at: int | None = None
        self.requests = 0

    def __call__(self, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        assert headers["authorization"] == "Bearer bearer"
        self.requests += 1
        if self.requests == self.fails_at:
            return 403, {"code": "not_allowed", "detail": "stop here"}
        results = []
        for index, event in enumerate(json.loads(body)):
            if event.get("subject") == "":
                wrong = {"code": "subject_missing", "field": "subject", "remedy": "name the person"}
                results.append({"index": index, "id": event["id"], "outcome": "rejected", **wrong})
                continue
            outcome = "duplicate" if event["id"] in self.known else "held" if event.get("held") else "recorded"
            self.known.add(event["id"])
            results.append({"index": index, "id": event["id"], "outcome": outcome})
        return 200, {"results": results, "position": "activity.0:1"}


@pytest.fixture
def intake(service: Service) -> Intake:
    service.routes["POST /v1/events"] = Intake()
    return service.routes["POST /v1/events"]  # type: ignore[return-value]


@pytest.fixture
def publish(service: Service, run: Run) -> Run:
    def command(file: Path | str, *more: str, stdin: bytes | None = None) -> Result:
        where = ("--org-url", service.url, "--activity-url", service.url, "--publisher", "bot", "--token", "secret")
        return run("publish", str(file), *where, *more, stdin=stdin)

    return command


def test_every_line_is_counted_and_the_publisher_s_own_token_is_used(
    tmp_path: Path, service: Service, intake: Intake, publish: Run
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(line(1) + line(2, held=True) + "\n" + line(1) + line(3))
    result = publish(file, "--batch", "2")
    assert result.exit_code == 0
    assert "5 lines: recorded 2  duplicate 1  held 1" in result.stdout
    assert json.loads(service.asked_for("POST /v1/token")[0]) == {
        "grant": "publisher",
        "publisher": "bot",
        "token": "secret",
    }


def test_rejected_lines_are_kept_with_their_reason_and_can_be_published_mended(
    tmp_path: Path, intake: Intake, publish: Run
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(line(1) + line(2, subject="") + "not json\n" + line(3))
    result = publish(file)
    assert result.exit_code == 1
    assert "recorded 2  rejected 2" in result.stdout
    assert "line 2: subject_missing; field subject; name the person" in result.stdout
    assert "line 3: not_json" in result.stdout
    rejected = tmp_path / "events.jsonl.rejected.jsonl"
    marked, verbatim = rejected.read_text().splitlines()
    assert verbatim == "not json"
    assert json.loads(marked)["rejectedcode"] == "subject_missing"
    mended = tmp_path / "mended.jsonl"
    mended.write_text(json.dumps({**json.loads(marked), "subject": "1001"}) + "\n")
    assert publish(mended).exit_code == 0
    assert intake.known == {"e1", "e2", "e3"}


def test_an_interrupted_run_goes_on_behind_the_last_answer(tmp_path: Path, intake: Intake, publish: Run) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(line(n, subject="" if n == 1 else "1001") for n in range(60)))
    intake.fails_at = 4
    result = publish(file, "--batch", "10")
    assert isinstance(result.exception, RunnerError)
    assert result.exception.code == "not_allowed"
    progress = json.loads((tmp_path / "events.jsonl.progress.json").read_text())
    assert progress["lines"] % 10 == 0
    assert progress["lines"] < 60
    before = intake.requests
    result = publish(file, "--batch", "10")
    assert "60 lines" in result.stdout
    assert intake.known == {f"e{n}" for n in range(60)} - {"e1"}
    assert intake.requests - before == (60 - progress["lines"]) // 10
    assert len((tmp_path / "events.jsonl.rejected.jsonl").read_text().splitlines()) == 1


def test_a_finished_file_is_not_sent_again_but_what_was_added_is(tmp_path: Path, intake: Intake, publish: Run) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(line(1))
    publish(file)
    publish(file)
    assert intake.requests == 1
    with file.open("a") as more:
        more.write(line(2))
    assert "2 lines: recorded 2" in publish(file).stdout
    assert intake.requests == 2


def test_a_changed_file_is_not_resumed_unless_it_is_begun_anew(tmp_path: Path, intake: Intake, publish: Run) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(line(1) + line(2))
    publish(file)
    file.write_text(line(9) + line(2))
    result = publish(file)
    assert isinstance(result.exception, RunnerError)
    assert result.exception.code == "file_changed"
    assert "2 lines: recorded 1  duplicate 1" in publish(file, "--restart").stdout


def test_standard_input_can_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, intake: Intake, publish: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    result = publish("-", stdin=(line(1) + line(2)).encode())
    assert "2 lines: recorded 2" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_a_refusal(tmp_path: Path, publish: Run) -> None:
    result = publish(tmp_path / "none.jsonl")
    assert isinstance(result.exception, RunnerError)
    assert result.exception.code == "unreadable"
