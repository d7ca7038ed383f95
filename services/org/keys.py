"""The keys that sign bearer tokens: made at the first start, rotated with an overlap, published as events.

The private half stands in an ordinary table; the public half travels in the ledger, so that every service can check
a token without asking. A new key signs only after services have had time to hear of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc.jwk import OKPKey

from contracts.org import OrgEvent, SigningKeyPublished, SigningKeyRetired
from services.kernel import clock
from services.kernel.auth import ALGORITHM
from services.kernel.committer import GroupCommitter
from services.kernel.database import Connection, Database
from services.kernel.ledger import Work
from services.org.domain import aggregate_of
from services.org.rows import lock_decisions

OVERLAP = timedelta(seconds=30)  # between a key's publication and its first signature
LONGEST_TOKEN = timedelta(seconds=600 + 30)


@dataclass(frozen=True, slots=True)
class SigningKey:
    key_id: str
    key: OKPKey


class Signer:
    """The key in use, read again at most every few seconds: another process may have rotated it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._current: SigningKey | None = None
        self._until = 0.0

    async def current(self) -> SigningKey | None:
        """Return the newest key that may sign already; None before the first was made."""
        if self._current is None or clock.monotonic() >= self._until:
            async with self._db.conn() as conn:
                row = await conn.fetchrow(
                    "SELECT p.key_id, p.jwk FROM private_key p JOIN public.signing_key s USING (key_id)"
                    " WHERE p.signs_from <= $1 ORDER BY p.signs_from DESC LIMIT 1",
                    clock.now(),
                )
            self._current = SigningKey(row["key_id"], OKPKey.import_key(json.loads(row["jwk"]))) if row else None
            self._until = clock.monotonic() + 5.0
        return self._current

    def forget(self) -> None:
        self._current = None


async def ensure_key(committer: GroupCommitter) -> bool:
    """Make a key if there is none that may go on signing (at the first start; after healing, which brings back the
    public half of a key and not the private one). Returns whether one was made."""

    async def decide(work: Work) -> bool:
        await lock_decisions(work.conn)
        if await work.conn.fetchval(
            "SELECT count(*) FROM private_key JOIN public.signing_key USING (key_id) WHERE not_after IS NULL"
        ):
            return False
        await _add_key(work, signs_from=work.now)
        return True

    return (await committer.submit(decide, principal="service:org")).value


async def rotate(work: Work) -> str:
    """Add a key that signs soon, let the others end when their last tokens have; return its id."""
    await lock_decisions(work.conn)
    signs_from = work.now + OVERLAP
    for row in await work.conn.fetch("SELECT key_id, jwk, not_after FROM public.signing_key ORDER BY key_id"):
        if row["not_after"] is None:
            ends = signs_from + LONGEST_TOKEN
            await _append(work, SigningKeyPublished(key_id=row["key_id"], jwk=row["jwk"], not_after=ends))
        elif row["not_after"] < work.now:
            await retire(work, row["key_id"])
    return await _add_key(work, signs_from=signs_from)


async def retire(work: Work, key_id: str) -> None:
    """Take a key out at once: its tokens are void from now on, and its private half is forgotten."""
    await work.conn.execute("DELETE FROM private_key WHERE key_id = $1", key_id)
    await _append(work, SigningKeyRetired(key_id=key_id))


async def _add_key(work: Work, *, signs_from: datetime) -> str:
    key = OKPKey.generate_key("Ed25519", private=True)
    key_id = key.thumbprint()[:16]
    public = {**key.as_dict(private=False), "kid": key_id, "use": "sig", "alg": ALGORITHM}
    await work.conn.execute(
        "INSERT INTO private_key (key_id, jwk, signs_from) VALUES ($1, $2, $3)",
        key_id, json.dumps(key.as_dict(private=True)), signs_from,
    )  # fmt: skip
    await _append(work, SigningKeyPublished(key_id=key_id, jwk=json.dumps(public)))
    return key_id


async def _append(work: Work, event: OrgEvent) -> None:
    aggregate = aggregate_of(event)
    work.append(aggregate, await work.version(aggregate), [event])


async def key_set(conn: Connection) -> dict[str, list[dict[str, str]]]:
    """Return the public keys as a JWK set (RFC 7517)."""
    rows = await conn.fetch(
        "SELECT jwk FROM public.signing_key WHERE not_after IS NULL OR not_after > $1 ORDER BY key_id", clock.now()
    )
    return {"keys": [json.loads(row["jwk"]) for row in rows]}
