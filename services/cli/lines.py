"""A file of JSON lines that is sent piece by piece, and the note beside it of how far it got.

The note is written after the answer and never before, so that a piece may be sent twice but none is left out; the ids
in the lines make twice count once. What it must not do: know what is sent, or how.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from deploy.local.process import RunnerError

BLOCK = 1 << 20


@dataclass(frozen=True)
class Line:
    """One line that is not blank. `event` None = not a JSON object."""

    number: int
    raw: bytes
    event: dict[str, Any] | None


@dataclass(frozen=True)
class Piece:
    """Some lines in a row; `end` is the offset behind them, `raw` all their bytes, blank lines included."""

    lines: list[Line]
    raw: bytes
    end: int
    last_line: int


@dataclass
class Progress:
    """How far a file got: bytes and lines that were answered for, their hash, and what became of them."""

    offset: int = 0
    lines: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    rejected_bytes: int = 0
    tally: dict[str, int] = field(default_factory=dict)


def pieces(stream: BinaryIO, size: int, offset: int = 0, line: int = 0) -> Iterator[Piece]:
    """Yield the stream's further lines, `size` at a time; `offset` and `line` say what went before."""
    lines: list[Line] = []
    raw: list[bytes] = []
    for text in stream:
        line += 1
        offset += len(text)
        raw.append(text)
        if text.strip():
            lines.append(Line(line, text.rstrip(b"\r\n"), _parse(text)))
        if len(lines) >= size:
            yield Piece(lines, b"".join(raw), offset, line)
            lines, raw = [], []
    if raw:
        yield Piece(lines, b"".join(raw), offset, line)


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(text)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


class Journal:
    """The note beside a file (FILE.progress.json) and its rejected lines (FILE.rejected.jsonl).

    A rejected event is written with its reason in CloudEvents extension attributes: these are no part of an event's
    content, so that a mended line can be published as it is.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` None: standard input; nothing is noted, rejected lines go to publish.rejected.jsonl."""
        self.file = path
        self.note = path.with_name(f"{path.name}.progress.json") if path else None
        self.rejected = path.with_name(f"{path.name}.rejected.jsonl") if path else Path("publish.rejected.jsonl")
        self.progress = Progress()
        self._hash = hashlib.sha256()

    def resume(self) -> int:
        """Take up where the note ends; return the offset to read from.

        Raises RunnerError "file_changed" when the part that was sent is no longer what it was.
        """
        if self.note is None or self.file is None or not self.note.exists():
            self.rejected.unlink(missing_ok=True)
            return 0
        found = Progress(**json.loads(self.note.read_text()))
        self._hash = _hash_of(self.file, found.offset)
        if self._hash.hexdigest() != found.sha256:
            raise RunnerError(
                "file_changed",
                f"the first {found.lines} lines of {self.file} are not those that were sent",
                "publish with --restart: what is recorded already answers `duplicate`",
            )
        self.progress = found
        if self.rejected.exists():  # what was written after the note is written again
            with self.rejected.open("r+b") as file:
                file.truncate(found.rejected_bytes)
        return found.offset

    def restart(self) -> None:
        """Forget how far the file got."""
        if self.note is not None:
            self.note.unlink(missing_ok=True)

    def confirm(self, piece: Piece, outcomes: dict[str, int], rejected: list[bytes]) -> None:
        """Note that a piece was answered for. Pieces are confirmed in their order."""
        if rejected:
            with self.rejected.open("ab") as file:
                file.write(b"".join(line + b"\n" for line in rejected))
                self.progress.rejected_bytes = file.tell()
        self._hash.update(piece.raw)
        self.progress.offset, self.progress.lines = piece.end, piece.last_line
        self.progress.sha256 = self._hash.hexdigest()
        for outcome, count in outcomes.items():
            self.progress.tally[outcome] = self.progress.tally.get(outcome, 0) + count
        if self.note is not None:
            beside = self.note.with_suffix(".new")
            beside.write_text(json.dumps(asdict(self.progress)))
            beside.replace(self.note)


def _hash_of(path: Path, size: int) -> hashlib._Hash:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(BLOCK, size))):
            digest.update(block)
            size -= len(block)
    return digest
