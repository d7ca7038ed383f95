"""Sends a file's events piece by piece, some pieces ahead, and keeps count of what became of each line."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from contracts.activity import IntakeResult
from services.cli.lines import Journal, Line, Piece

Send = Callable[[Sequence[dict[str, Any]]], Awaitable[list[IntakeResult]]]
Watch = Callable[[Journal], None]


async def transfer(journal: Journal, pieces: Iterator[Piece], send: Send, *, ahead: int, watch: Watch) -> list[str]:
    """Send all pieces, at most `ahead` at a time, and confirm them in order.

    Return a sentence for each kind of rejection, with its first line. Whatever `send` raises ends the transfer; the
    pieces before it stay confirmed.
    """
    reasons: dict[str, str] = {}
    under_way: deque[tuple[Piece, asyncio.Task[list[IntakeResult]]]] = deque()
    try:
        for piece in pieces:
            under_way.append((piece, asyncio.create_task(_answers(piece, send))))
            if len(under_way) >= ahead:
                await _confirm_first(journal, under_way, reasons, watch)
        while under_way:
            await _confirm_first(journal, under_way, reasons, watch)
    finally:
        for _, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)
    return list(reasons.values())


async def _confirm_first(
    journal: Journal,
    under_way: deque[tuple[Piece, asyncio.Task[list[IntakeResult]]]],
    reasons: dict[str, str],
    watch: Watch,
) -> None:
    piece, task = under_way[0]
    results = await task
    under_way.popleft()
    rejected: list[bytes] = []
    for line, result in zip(piece.lines, results, strict=True):
        if result.outcome == "rejected":
            rejected.append(_marked(line, result))
            code = result.code or "rejected"
            reasons.setdefault(f"{code} {result.field}", _sentence(line, result))
    journal.confirm(piece, Counter(result.outcome for result in results), rejected)
    watch(journal)


async def _answers(piece: Piece, send: Send) -> list[IntakeResult]:
    """Return a result a line; lines that are not JSON objects are rejected here, for no request can carry them."""
    events = [line.event for line in piece.lines if line.event is not None]
    sent = iter(await send(events) if events else [])
    return [next(sent) if line.event is not None else _not_json(line) for line in piece.lines]


def _not_json(line: Line) -> IntakeResult:
    return IntakeResult(
        index=line.number,
        outcome="rejected",
        code="not_json",
        detail="the line is not a JSON object",
        remedy="write one CloudEvents event a line",
    )


def _marked(line: Line, result: IntakeResult) -> bytes:
    """Return a rejected line with its reason in extension attributes; as it is when it is not JSON."""
    if line.event is None:
        return line.raw
    reason = {
        "rejectedcode": result.code,
        "rejectedfield": result.field,
        "rejecteddetail": result.detail,
        "rejectedremedy": result.remedy,
    }
    marked = line.event | {name: text for name, text in reason.items() if text}
    return json.dumps(marked, ensure_ascii=False, separators=(",", ":")).encode()


def _sentence(line: Line, result: IntakeResult) -> str:
    words = [f"line {line.number}: {result.code}"]
    words += [f"field {result.field}"] if result.field else []
    words += [text for text in (result.detail, result.remedy) if text]
    return "; ".join(words)
