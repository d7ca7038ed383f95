"""A backup holds the same bytes and hashes; one that is cut off, altered or reordered is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from contracts.envelope import commit_hash, genesis_hash
from deploy.local.process import RunnerError
from services.cli.backup import BackupWriter, heads_of, read_backup
from services.kernel.codec import Commit


def commits(ledger: str, count: int) -> list[Commit]:
    ledger_id, chain = f"{ledger}/abc", []
    previous = genesis_hash(f"{ledger}/abc")
    for number in range(1, count + 1):
        meta, body = b"{}", b'[{"n":%d}]' % number
        digest = commit_hash(ledger_id, number, previous, meta, body)
        chain.append(Commit(ledger, ledger_id, 1, number, previous, digest, meta, "identity", body))
        previous = digest
    return chain


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    path = tmp_path / "backup.jsonl.gz"
    with BackupWriter(path, {"org": 3, "activity.0": 2}) as writer:
        for commit in commits("activity.0", 2) + commits("org", 3):
            writer.add(commit)
    return path


def test_what_is_read_is_what_was_written(backup: Path) -> None:
    assert list(read_backup(backup)) == commits("activity.0", 2) + commits("org", 3)
    assert heads_of(backup) == {"org": 3, "activity.0": 2}


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "backup.jsonl.gz"
    first, _, third = commits("org", 3)

    def export() -> None:
        with BackupWriter(path, {"org": 3}) as writer:
            writer.add(first)
            writer.add(third)

    with pytest.raises(RunnerError, match="chain_broken"):
        export()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda lines: lines[:-1], "backup_incomplete"),
        (lambda lines: [*lines[:-2], lines[-1]], "backup_incomplete"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "chain_broken"),
        (lambda lines: [lines[0], lines[1].replace(b'"meta":"{}"', b'"meta":"{ }"'), *lines[2:]], "chain_broken"),
        (lambda lines: [lines[0], b"{}\n", *lines[1:]], "backup_damaged"),
        (lambda lines: [b'{"format":"other"}\n', *lines[1:]], "not_a_backup"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(backup: Path, change, code: str) -> None:
    with gzip.open(backup) as file:
        lines = file.readlines()
    backup.write_bytes(gzip.compress(b"".join(change(lines))))
    with pytest.raises(RunnerError, match=code):
        list(read_backup(backup))


def test_a_cut_or_foreign_file_is_refused(backup: Path, tmp_path: Path) -> None:
    backup.write_bytes(backup.read_bytes()[:-30])
    with pytest.raises(RunnerError, match="backup_damaged"):
        list(read_backup(backup))
    other = tmp_path / "text"
    other.write_text("hello")
    with pytest.raises(RunnerError, match="not_a_backup"):
        heads_of(other)
