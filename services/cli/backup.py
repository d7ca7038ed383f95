"""The backup file: every commit of every ledger with its bytes and hashes, one JSON line each, gzipped.

First line: what it is and of which ledgers. Last line: where each ends; a file without it is cut off. Commits stand in
order, ledger by ledger. Nothing secret is in it: credentials are in no ledger.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from contracts.envelope import genesis_hash
from deploy.local.process import RunnerError
from services.kernel.archive import CommitDocument, from_document, to_document
from services.kernel.codec import Commit

FORMAT = "opsledger-ledgers/1"


class BackupWriter:
    """Writes a backup beside its final name and puts it there when complete."""

    def __init__(self, path: Path, heads: Mapping[str, int]) -> None:
        self._path = path
        self._beside = path.with_name(f"{path.name}.part")
        self._file = gzip.open(self._beside, "wb", compresslevel=6)  # noqa: SIM115 - closed by __exit__
        self._chain = _Chain()
        self._line({"format": FORMAT, "ledgers": dict(heads)})

    def __enter__(self) -> BackupWriter:
        return self

    def add(self, commit: Commit) -> None:
        """Append a commit. Raises RunnerError when it does not continue its ledger's chain."""
        self._chain.follow(commit)
        self._file.write(msgspec.json.encode(to_document(commit)) + b"\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._line({"end": self._chain.ends})
        self._file.close()
        if error is None:
            self._beside.replace(self._path)
        else:
            self._beside.unlink(missing_ok=True)

    def _line(self, document: dict[str, Any]) -> None:
        self._file.write(msgspec.json.encode(document) + b"\n")


class _Chain:
    """Follows the chains of all ledgers of a file."""

    def __init__(self) -> None:
        self.ends: dict[str, dict[str, Any]] = {}

    def follow(self, commit: Commit) -> None:
        end = self.ends.get(commit.ledger, {"number": 0, "hash": genesis_hash(commit.ledger_id).hex()})
        fits = commit.number == end["number"] + 1 and commit.previous.hex() == end["hash"]
        if not fits or not commit.is_intact():
            raise RunnerError(
                "chain_broken",
                f"{commit.position} does not continue {commit.ledger}:{end['number']}",
                "opsledger verify",
            )
        self.ends[commit.ledger] = {"number": commit.number, "hash": commit.hash.hex()}


def heads_of(path: Path) -> dict[str, int]:
    """Return ledger -> number of its last commit, as the first line says. Raises RunnerError: not a backup."""
    try:
        with gzip.open(path, "rb") as file:
            first = msgspec.json.decode(file.readline())
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise RunnerError("not_a_backup", f"{path}: {error}", "name a file that `ledger export` wrote") from error
    if not isinstance(first, dict) or first.get("format") != FORMAT:
        raise RunnerError("not_a_backup", f"{path} is no {FORMAT}", "name a file that `ledger export` wrote")
    heads: dict[str, int] = first["ledgers"]
    return heads


def read_backup(path: Path) -> Iterator[Commit]:
    """Yield the commits; every hash is checked. Raises RunnerError where the file is broken or cut off."""
    heads_of(path)
    chain = _Chain()
    decoder = msgspec.json.Decoder(CommitDocument)
    try:
        with gzip.open(path, "rb") as file:
            file.readline()
            for line in file:
                if line.startswith(b'{"end"'):
                    if msgspec.json.decode(line)["end"] != chain.ends:
                        raise RunnerError("backup_incomplete", f"{path} lacks commits", "use another copy")
                    return
                commit = from_document(decoder.decode(line))
                chain.follow(commit)
                yield commit
    except (OSError, EOFError, ValueError, msgspec.DecodeError) as error:
        raise RunnerError("backup_damaged", f"{path}: {error}", "use another copy") from error
    raise RunnerError("backup_incomplete", f"{path} is cut off", "use another copy")
