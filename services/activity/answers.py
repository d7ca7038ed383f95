"""From what was decided to what is answered: results with the commits that they stand in."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.activity.decision import Unit
from services.activity.facts import Row
from services.kernel.committer import Committed
from services.kernel.errors import Refusal
from services.kernel.outcomes import Answer, Result
from services.kernel.positions import render
from services.kernel.wire import Rejected


@dataclass(slots=True)
class Judged:
    """What a decision says of one request."""

    results: list[Result]
    places: list[Row | None]
    rejected: list[tuple[int, Rejected]]


@dataclass(slots=True)
class Outcome:
    """All requests of a decision; refs of earlier commits are looked up in its own transaction."""

    judged: list[Judged]
    earlier: dict[int, tuple[str, int]] = field(default_factory=dict)


def insist_on_all(judged: Judged) -> None:
    """Refuse a command of which a part does not stand; its savepoint takes the rest back."""
    for result in judged.results:
        if result.outcome == "rejected":
            raise Refusal(
                result.code or "rejected", result.detail or "", status=422, field=result.field, remedy=result.remedy
            )
    if len(judged.results) > 1 and judged.results[0].code is not None:
        raise Refusal("already_voided", "the target has been voided already", status=409, field="target")


def join(units: list[Unit]) -> None:
    """Put the units of a command that belong to one shard into one commit."""
    for unit in units[1:]:
        if unit.shard == units[0].shard:
            first = units[0]
            first.events += unit.events
            first.recorded += unit.recorded
            first.held += unit.held
            first.voided += unit.voided
    units[1:] = [unit for unit in units[1:] if unit.shard != units[0].shard]


def place_of(row: Row) -> int | None:
    """Return the ref of the commit that an answer about this line names."""
    return row.recorded_ref if row.recorded_ref is not None else row.held_ref


def answers_of(done: Committed[Outcome]) -> list[Answer]:
    refs = {**done.value.earlier, **done.refs}
    return [_answer(one.results, one.places, refs) for one in done.value.judged]


def _answer(results: list[Result], rows: list[Row | None], refs: dict[int, tuple[str, int]]) -> Answer:
    positions: dict[str, int] = {}
    texts: dict[int | None, str] = {ref: f"{ledger}:{number}" for ref, (ledger, number) in refs.items()}
    named: set[int] = set()
    for result, row in zip(results, rows, strict=True):
        if row is None:
            continue
        ref = row.recorded_ref if row.recorded_ref is not None else row.held_ref
        if ref is not None and ref in texts:
            result.commit = texts[ref]
            named.add(ref)
    for ref in named:
        ledger, number = refs[ref]
        if positions.get(ledger, 0) < number:
            positions[ledger] = number
    return Answer(results, render(positions))
