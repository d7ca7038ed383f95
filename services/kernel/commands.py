"""Idempotent commands: the same key and body again is answered from the commit of the first time.

The key's scope is principal + route. Another body under the same key is refused; a concurrent one waits for the first.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.kernel.committer import Committed, GroupCommitter
from services.kernel.errors import Refusal, VersionConflict
from services.kernel.ledger import Work

T = TypeVar("T")
ATTEMPTS = 5


async def execute(
    committer: GroupCommitter,
    decide: Callable[[Work], Awaitable[T]],
    *,
    principal: str,
    route: str,
    key: str | None = None,
    body: bytes = b"",
    retry_on_conflict: bool = False,
    repeated: Callable[[Work], Awaitable[T]] | None = None,
    traceparent: str | None = None,
) -> Committed[T]:
    """Run a command once per idempotency key.

    `repeated` computes the answer of a repetition from what stands (default: `decide` again without appending
    anything is not possible, so the value is None). `retry_on_conflict` decides again when an aggregate has moved.
    Raises Refusal `idempotency_key_reused` (422) for another body under the key.
    """
    request_hash = hashlib.sha256(body).hexdigest()
    earlier: dict[str, int] = {}

    async def once(work: Work) -> T:
        earlier.clear()
        if key is not None:
            scope = f"{principal} {route}"
            first = await work.conn.fetchval(
                "INSERT INTO command (scope, key, request_hash) VALUES ($1, $2, $3)"
                " ON CONFLICT DO NOTHING RETURNING true",
                scope, key, request_hash,
            )  # fmt: skip
            if not first:
                earlier.update(await _earlier(work, scope, key, request_hash))
                return await repeated(work) if repeated is not None else None  # type: ignore[return-value]
            work.command = (scope, key, request_hash)
        return await decide(work)

    for attempt in range(ATTEMPTS):
        try:
            done = await committer.submit(once, principal=principal, traceparent=traceparent)
        except VersionConflict:
            if not retry_on_conflict or attempt == ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.005 * 2**attempt)
        else:
            return Committed(done.value, done.positions or dict(earlier), done.refs)
    raise AssertionError("unreachable")


async def _earlier(work: Work, scope: str, key: str, request_hash: str) -> dict[str, int]:
    """Return the positions that the first execution ended at; refuse another body under its key."""
    row = await work.conn.fetchrow(
        "SELECT c.request_hash, c.ref, l.ledger, l.number FROM command c LEFT JOIN ledger_commit l USING (ref)"
        " WHERE c.scope = $1 AND c.key = $2",
        scope, key,
    )  # fmt: skip
    if row is None or row["request_hash"] != request_hash:
        raise Refusal(
            "idempotency_key_reused",
            "this idempotency key was used for another request",
            status=422,
            field="Idempotency-Key",
            remedy="Use a new key for a new request.",
        )
    work.repeats = row["ref"]  # of this very group: it has no number yet
    return {row["ledger"]: row["number"]} if row["ledger"] else {}
