"""Reading and writing the lines of intake inside a ledger transaction: the SQL of a decision.

Locks are taken in key order: existing targets first, then the new lines by the primary key, so that two intakes never
wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.activity import facts
from services.activity.decision import Decision, Held, Unit, Waiting
from services.activity.facts import AWAITED, COLUMNS, Ref, Row
from services.activity.projections.identities import waits_for
from services.kernel.database import Connection
from services.kernel.ledger import Work
from services.kernel.reaction import put_todos

SELECT = f"SELECT {', '.join(COLUMNS)} FROM activity WHERE key = ANY($1)"
RECEIPT = "receipt"
PAIRS_TOGETHER = 256 * 1024  # bytes of multi-event units that surely stand in one commit


async def read_lines(conn: Connection, keys: Sequence[bytes], targets: Sequence[bytes]) -> list[Any]:
    """Return the records of existing lines; those of voids' targets are locked."""
    records = list(await conn.fetch(SELECT, keys))
    if targets:
        locked = await conn.fetch(f"{SELECT} ORDER BY key FOR UPDATE", targets)
        names = {record["key"] for record in locked}
        records = [record for record in records if record["key"] not in names] + list(locked)
    return records


async def read_waiting(conn: Connection, records: Iterable[Any]) -> list[Any]:
    """Return the records of the voids that wait for lines which are only placeholders."""
    awaited = [record["key"] for record in records if record["state"] == AWAITED]
    if not awaited:
        return []
    return list(await conn.fetch("SELECT * FROM void_waiting WHERE target_key = ANY($1)", awaited))


def lines_of(records: Iterable[Any]) -> dict[bytes, Row]:
    return {record["key"]: Row(*record) for record in records}


def waiting_of(records: Iterable[Any]) -> dict[bytes, Waiting]:
    return {
        record["target_key"]: Waiting(
            record["target_key"],
            Ref(record["source"], record["id"]),
            record["reason"],
            record["by"],
            Ref(record["void_source"], record["void_id"]),
        )
        for record in records
    }


async def append_plain(work: Work, plain: Mapping[int, tuple[list[bytes], list[Row]]]) -> None:
    """Append events that are just recorded, the common case: one event a line."""
    for shard, (events, rows) in plain.items():
        at = 0
        for ref, count in await work.append_raw(shard, events):
            for row in rows[at : at + count]:
                row.recorded_ref = ref
            at += count


async def append_units(work: Work, units: Sequence[Unit]) -> None:
    """Append the ledger events and tell the lines their commits' refs. A unit is never split over two commits."""
    by_shard: dict[int, list[Unit]] = {}
    for unit in units:
        by_shard.setdefault(unit.shard, []).append(unit)
    for shard, mine in by_shard.items():
        single = [unit for unit in mine if len(unit.events) == 1]
        several = [unit for unit in mine if len(unit.events) > 1]
        if single:
            await _append(work, shard, single)
        if sum(len(event) for unit in several for event in unit.events) > PAIRS_TOGETHER:
            for unit in several:
                await _append(work, shard, [unit])
        elif several:
            await _append(work, shard, several)


async def _append(work: Work, shard: int, units: Sequence[Unit]) -> None:
    placed = await work.append_raw(shard, [event for unit in units for event in unit.events])
    refs = iter(placed)
    ref, left = next(refs)
    for unit in units:
        if left == 0:
            ref, left = next(refs)
        left -= len(unit.events)
        for row in unit.recorded:
            row.recorded_ref = ref
        for row in unit.held:
            row.held_ref = ref
        for row in unit.voided:
            row.voided_ref = ref


async def write_decision(conn: Connection, done: Decision, now: datetime, messages: dict[bytes, str | None]) -> None:
    """Write lines, holds and waiting voids. UniqueViolationError: somebody else was faster; decide again."""
    if done.replaced:
        await conn.execute("DELETE FROM activity WHERE key = ANY($1)", sorted(done.replaced))
    if done.new:
        await conn.copy_records_to_table(
            "activity",
            records=[facts.as_record(done.new[key]) for key in sorted(done.new)],
            columns=COLUMNS,
        )
    if done.voided:
        rows = [done.voided[key] for key in sorted(done.voided)]
        await conn.executemany(
            "UPDATE activity SET state = $2, voided_ref = $3 WHERE key = $1",
            [(row.key, row.state, row.voided_ref) for row in rows],
        )
    if done.released:
        await end_holds(conn, done.released, "voided")
    if done.arrived:
        await conn.execute("DELETE FROM void_waiting WHERE target_key = ANY($1)", done.arrived)
    if done.waiting:
        await conn.executemany(
            "INSERT INTO void_waiting VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                (w.target_key, w.target.source, w.target.id, w.reason, w.by, w.void.source, w.void.id)
                for w in done.waiting.values()
            ],
        )
    if done.held:
        await _write_holds(conn, list(done.held.values()), now, messages)


async def _write_holds(
    conn: Connection, held: Sequence[Held], now: datetime, messages: dict[bytes, str | None]
) -> None:
    await conn.executemany(
        "INSERT INTO activity_hold VALUES ($1, $2, $3, $4, $5, $6)",
        [(h.row.key, bytes(h.event.raw), h.row.content, h.row.publisher, messages.get(h.row.key), now) for h in held],
    )
    await conn.executemany(
        "INSERT INTO activity_hold_reason VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        [
            (h.row.key, waits_for(who), reason.code, reason.key)
            for h in held
            for who, reason in zip(h.unknown, h.reasons, strict=True)
        ],
    )


async def end_holds(conn: Connection, keys: Sequence[bytes], how: str) -> None:
    """Remove holds; where an inbox message waits for the outcome, leave a to-do for its second receipt."""
    rows = await conn.fetch(
        "DELETE FROM activity_hold WHERE key = ANY($1) RETURNING key, publisher, message", sorted(keys)
    )
    receipts = [
        (row["key"].hex(), {"publisher": row["publisher"], "message": row["message"], "how": how})
        for row in rows
        if row["message"] is not None
    ]
    await put_todos(conn, RECEIPT, receipts)


async def commits_of(conn: Connection, refs: Iterable[int]) -> dict[int, tuple[str, int]]:
    """Return ref -> (ledger, number) of commits that stand."""
    rows = await conn.fetch("SELECT ref, ledger, number FROM ledger_commit WHERE ref = ANY($1)", list(refs))
    return {row["ref"]: (row["ledger"], row["number"]) for row in rows}
