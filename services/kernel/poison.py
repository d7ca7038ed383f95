"""What a projection cannot apply is held with its reason, in the transaction that moves the checkpoint past it.

Bisection finds the commit, then the events. A commutative fold holds the single event, an ordered one also whatever
later belongs to the same subject. Errors of connection, disk or other transactions are never poison.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from services.kernel.codec import Commit
from services.kernel.database import TRANSIENT, Connection
from services.kernel.projection import Projection, schema_of, set_path

log = logging.getLogger("opsledger.kernel")

NEVER_POISON: tuple[type[Exception], ...] = (*TRANSIENT, MemoryError)


async def apply_or_hold(conn: Connection, projection: Projection, version: int, commits: Sequence[Commit]) -> int:
    """Apply the commits, holding what cannot be; return how many commits had something to hold."""
    waiting = await _held_subjects(conn, projection, version) if projection.ordered else {}
    if waiting:
        return sum([await _one_by_one(conn, projection, version, commit, waiting) for commit in commits])
    if await _try(conn, projection, commits) is None:
        return 0
    if len(commits) > 1:
        middle = len(commits) // 2
        first = await apply_or_hold(conn, projection, version, commits[:middle])
        return first + await apply_or_hold(conn, projection, version, commits[middle:])
    return await _one_by_one(conn, projection, version, commits[0], waiting)


async def _try(conn: Connection, projection: Projection, commits: Sequence[Commit]) -> Exception | None:
    """Apply in a savepoint; return what went wrong, None if nothing did."""
    try:
        async with conn.transaction():
            await projection.apply(conn, commits)
    except NEVER_POISON:
        raise
    except Exception as error:
        projection.forget()
        return error
    return None


async def _held_subjects(conn: Connection, projection: Projection, version: int) -> dict[str, str]:
    rows = await conn.fetch(
        "SELECT DISTINCT subject FROM public.hold WHERE projection = $1 AND version = $2 AND subject IS NOT NULL",
        projection.name, version,
    )  # fmt: skip
    return {row["subject"]: "waits for an earlier event of the same subject" for row in rows}


async def _one_by_one(
    conn: Connection, projection: Projection, version: int, commit: Commit, waiting: dict[str, str]
) -> int:
    held = 0
    positions = commit.only if commit.only is not None else tuple(range(len(commit.events())))
    for position in positions:
        single = commit.with_only((position,))
        try:
            subject = projection.subject_of(single.events()[0]) if projection.ordered else None
        except Exception as error:
            subject, reason = None, repr(error)
        else:
            reason = waiting.get(subject or "", "")
        if not reason:
            error_found = await _try(conn, projection, [single])
            if error_found is None:
                continue
            reason = f"{type(error_found).__name__}: {error_found}"
            if subject is not None:
                waiting[subject] = "waits for an earlier event of the same subject"
        held += 1
        log.error("event_held", extra={"projection": projection.name, "at": commit.position, "reason": reason})
        await conn.execute(
            "INSERT INTO public.hold (projection, version, ledger, number, position, subject, reason)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            projection.name, version, commit.ledger, commit.number, position, subject, reason[:2000],
        )  # fmt: skip
    return 1 if held else 0


async def retry_held(
    conn: Connection, projection: Projection, version: int, commits: dict[tuple[str, int], Commit]
) -> int:
    """Apply what is held again, oldest first, from `commits` by (ledger, number); return how many stay held."""
    await set_path(conn, [schema_of(projection.name, version)])
    rows = await conn.fetch(
        "SELECT ledger, number, position, subject FROM public.hold WHERE projection = $1 AND version = $2"
        " ORDER BY ledger, number, position",
        projection.name, version,
    )  # fmt: skip
    stay: set[str] = set()
    left = 0
    for row in rows:
        commit = commits.get((row["ledger"], row["number"]))
        blocked = row["subject"] is not None and row["subject"] in stay
        if (
            commit is None
            or blocked
            or await _try(conn, projection, [commit.with_only((row["position"],))]) is not None
        ):
            left += 1
            if row["subject"] is not None:
                stay.add(row["subject"])
            continue
        await conn.execute(
            "DELETE FROM public.hold WHERE projection = $1 AND version = $2 AND ledger = $3 AND number = $4"
            " AND position = $5",
            projection.name, version, row["ledger"], row["number"], row["position"],
        )  # fmt: skip
    return left
