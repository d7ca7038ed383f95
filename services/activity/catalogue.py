"""The catalogue of activity types: facts of the ledger (ActivityTypeDefined), one aggregate a type, kept in memory.

The handbook's types are loaded at the first start; a type that stands is never overwritten by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from contracts.activity import ActivityTypeDefined
from services.activity.rules import ActivityType
from services.kernel.clock import monotonic
from services.kernel.committer import Committed, GroupCommitter
from services.kernel.database import Connection, Database
from services.kernel.ledger import Work

HANDBOOK = Path(__file__).resolve().parents[2] / "deploy" / "handbook" / "catalogue.yaml"
REFRESH_SECONDS = 2.0  # how soon another process's change is seen


def handbook_types(path: Path = HANDBOOK) -> list[ActivityTypeDefined]:
    """Return the handbook's types in its order."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [ActivityTypeDefined.model_validate(entry) for entry in document["types"]]


def aggregate_of(name: str) -> str:
    return f"activity_type:{name}"


async def write_types(conn: Connection, events: Sequence[tuple[str, BaseModel]]) -> None:
    """The inline read model: table `catalogue`."""
    for _, event in events:
        if isinstance(event, ActivityTypeDefined):
            await conn.execute(
                "INSERT INTO catalogue AS c VALUES"
                " ($1, (SELECT count(*) FROM catalogue) + 1, $2, $3, $4, $5, $6, $7, $8, 1)"
                " ON CONFLICT (name) DO UPDATE SET row = excluded.row, needs = excluded.needs,"
                " name_zh = excluded.name_zh, name_en = excluded.name_en,"
                " default_platform = excluded.default_platform, retired = excluded.retired,"
                " account_must_be_known = excluded.account_must_be_known, version = c.version + 1",
                event.name, event.row, event.needs, event.name_zh, event.name_en, event.default_platform,
                event.account_must_be_known, event.retired,
            )  # fmt: skip


class CatalogueStore:
    """The catalogue in memory: `types` by name."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.types: dict[str, ActivityType] = {}
        self._loaded = 0.0

    async def load(self) -> None:
        """Read the table."""
        async with self.db.conn() as conn:
            rows = await conn.fetch(
                "SELECT name, needs, default_platform, account_must_be_known, retired FROM catalogue"
            )
        self.types = {
            row["name"]: ActivityType(
                row["name"], tuple(row["needs"]), row["default_platform"], row["account_must_be_known"], row["retired"]
            )
            for row in rows
        }
        self._loaded = monotonic()

    async def refresh(self) -> None:
        """Read the table again if what is in memory is older than REFRESH_SECONDS."""
        if monotonic() - self._loaded > REFRESH_SECONDS:
            await self.load()

    async def seed(self, committer: GroupCommitter) -> None:
        """Define the handbook's types that have never been defined; safe to repeat and to run twice at once."""
        wanted = handbook_types()

        async def decide(work: Work) -> None:
            await work.conn.execute("SELECT pg_advisory_xact_lock(hashtext('activity catalogue'))")
            rows = await work.conn.fetch("SELECT name FROM catalogue")
            standing = {row["name"] for row in rows}
            for entry in wanted:
                if entry.name not in standing:
                    work.append(aggregate_of(entry.name), 0, [entry], subject=entry.name)
            work.reason = "handbook"

        await committer.submit(decide)
        await self.load()

    async def define(
        self, committer: GroupCommitter, entry: ActivityTypeDefined, *, principal: str, expected: int | None
    ) -> Committed[int]:
        """Add or change a type; the answer is its version. Repeating what stands changes nothing."""

        async def decide(work: Work) -> int:
            version = await work.version(aggregate_of(entry.name))
            row = await work.conn.fetchrow("SELECT * FROM catalogue WHERE name = $1", entry.name)
            if row is not None and ActivityTypeDefined.model_validate(_plain(row)) == entry:
                return version
            work.append(aggregate_of(entry.name), version if expected is None else expected, [entry], entry.name)
            return version + 1

        done = await committer.submit(decide, principal=principal)
        await self.load()
        return done


def _plain(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in ActivityTypeDefined.model_fields}
