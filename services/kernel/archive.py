"""Commits as portable documents: what `/v1/ledger` answers, what `ledger export` writes and `ledger import` reads.

One JSON object a commit, with the stored body in base64, so that bytes and hashes are the same everywhere.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import msgspec

from contracts.envelope import genesis_hash
from services.kernel.codec import Commit
from services.kernel.database import Connection, Database, fetch_one
from services.kernel.errors import Refusal
from services.kernel.ledger import INSERT_COMMIT, Ledger
from services.kernel.relay import commit_of

Restore = Callable[[Connection, Commit, int], Awaitable[None]]  # rebuild the inline rows of (commit, ref)


class CommitDocument(msgspec.Struct):
    """A commit as JSON; hashes in hex, body in base64."""

    ledger: str
    ledger_id: str
    epoch: int
    number: int
    previous: str
    hash: str
    meta: str
    encoding: str
    body: str


def to_document(commit: Commit) -> CommitDocument:
    return CommitDocument(
        commit.ledger,
        commit.ledger_id,
        commit.epoch,
        commit.number,
        commit.previous.hex(),
        commit.hash.hex(),
        commit.meta.decode("ascii"),
        commit.encoding,
        base64.b64encode(commit.body).decode(),
    )


def from_document(document: CommitDocument) -> Commit:
    return Commit(
        document.ledger,
        document.ledger_id,
        document.epoch,
        document.number,
        bytes.fromhex(document.previous),
        bytes.fromhex(document.hash),
        document.meta.encode("ascii"),
        document.encoding,
        base64.b64decode(document.body),
    )


async def read_commits(db: Database, ledger: str, after: int, limit: int, max_bytes: int = 8 << 20) -> list[Commit]:
    """Return the commits after a number, at least one if there is any, else within `limit` and `max_bytes`."""
    async with db.conn() as conn:
        rows = await conn.fetch(
            "SELECT * FROM (SELECT c.*, h.ledger_id, h.epoch, sum(length(c.body)) OVER (ORDER BY c.number) AS total"
            " FROM ledger_commit c JOIN ledger_head h USING (ledger) WHERE c.ledger = $1 AND c.number > $2"
            " AND c.number <= $2 + $3) AS page WHERE total <= $4 OR number = $2 + 1 ORDER BY number",
            ledger, after, limit, max_bytes,
        )  # fmt: skip
    return [commit_of(row) for row in rows]


class OwnerClient:
    """Fetches commits from the services that own the ledgers, with this service's own identity."""

    def __init__(self, urls: dict[str, str], token: Callable[[], Awaitable[str]]) -> None:
        self._urls = urls  # context -> base URL
        self._token = token
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(30, connect=3))

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, ledger: str, after: int, limit: int) -> list[Commit]:
        """Return the owner's commits after a number. OSError when the owner cannot be reached or refuses."""
        page = await self._get(ledger, "", {"ledger": ledger, "after": after, "limit": limit})
        return [from_document(msgspec.convert(item, CommitDocument)) for item in page["data"]]

    async def head(self, ledger: str) -> int:
        """Return the number of the ledger's last commit, as its owner has it. OSError as `fetch`."""
        return int((await self._get(ledger, "/head", {}))["heads"].get(ledger, 0))

    async def _get(self, ledger: str, path: str, params: dict[str, str | int]) -> dict[str, Any]:
        url = self._urls[ledger.partition(".")[0]]
        try:
            headers = {"Authorization": f"Bearer {await self._token()}"}
            answer = await self._client.get(f"{url}/v1/ledger{path}", params=params, headers=headers)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise OSError(f"{ledger}: the owner at {url} did not answer: {error!r}") from error
        found: dict[str, Any] = msgspec.json.decode(answer.content)
        return found


async def append_foreign(ledger: Ledger, name: str, commits: Sequence[Commit], restore: Restore) -> int:
    """Append commits that this ledger had decided before and lost (healing, import); return how many were new.

    Commits that stand already must be the same; the rest must continue the chain. Refusal `ledger_forked` otherwise.
    """
    added = 0
    async with ledger.db.tx() as conn:
        head = await fetch_one(conn, "SELECT * FROM ledger_head WHERE ledger = $1 FOR UPDATE", name)
        number, previous, ledger_id = head["number"], head["hash"], head["ledger_id"]
        if number == 0 and commits and commits[0].number == 1:
            ledger_id, previous = commits[0].ledger_id, genesis_hash(commits[0].ledger_id)
        for commit in commits:
            if commit.number <= number:
                own = await conn.fetchval(
                    "SELECT hash FROM ledger_commit WHERE ledger = $1 AND number = $2", name, commit.number
                )
                fits = own == commit.hash
            else:
                fits = commit.number == number + 1 and commit.previous == previous and commit.ledger_id == ledger_id
            if not fits or not commit.is_intact():
                raise Refusal(
                    "ledger_forked",
                    f"{commit.position} does not continue {name}:{number}",
                    status=409,
                    remedy="These commits are of another ledger, or of another course of it.",
                )
            if commit.number <= number:
                continue
            ref = await ledger.refs.take(conn)
            events = commit.events()
            await conn.execute(
                INSERT_COMMIT, name, commit.number, ref, commit.previous, commit.hash, len(events), commit.meta,
                commit.encoding, commit.body,
            )  # fmt: skip
            await _restore_command(conn, commit, ref)
            await restore(conn, commit, ref)
            number, previous = commit.number, commit.hash
            added += 1
        await conn.execute(
            "UPDATE ledger_head SET number = $2, hash = $3, ledger_id = $4 WHERE ledger = $1",
            name, number, previous, ledger_id,
        )  # fmt: skip
    return added


async def _restore_command(conn: Connection, commit: Commit, ref: int) -> None:
    meta = commit.metadata()
    if meta.get("command_key"):
        await conn.execute(
            "INSERT INTO command (scope, key, request_hash, ref, at) VALUES ($1, $2, $3, $4, $5::text::timestamptz)"
            " ON CONFLICT DO NOTHING",
            meta["command_scope"], meta["command_key"], meta["request_hash"], ref, meta["recorded_at"],
        )  # fmt: skip
