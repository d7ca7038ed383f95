"""The care around the tickets as it stands: visits and their rules, needs, cases, reports, topics, projects, queues.

Plaintext is in `care_plaintext` alone: an erasure deletes it there, in its own transaction, and a rebuild without the
key finds none. Of the tickets it keeps what rules of visits ask: who belongs to a project, which complaint is resolved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import BaseModel

from contracts.customers import Sealed
from contracts.registry import CONTEXTS
from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection
from services.tickets.projections.care_sql import CREATE, STATEMENTS, ticket_rows
from services.tickets.sealing import Vault

MODELS = CONTEXTS["tickets"]
PARTS = {  # event type -> (field of the aggregate's id, what its seal says)
    "tickets.visit_done.v1": ("visit", "result"),
    "tickets.need_collected.v1": ("need", "need"),
    "tickets.need_decided.v1": ("need", "decision"),
}
TICKETS = {
    "tickets.ticket_opened.v1",
    "tickets.ticket_classified.v1",
    "tickets.ticket_resolved.v1",
    "tickets.ticket_reopened.v1",
    "tickets.ticket_merged.v1",
}
_INSERT_TEXT = (
    "INSERT INTO care_plaintext (customer, subject, part, n, content) VALUES ($1, $2, $3, $4, $5::text::jsonb)"
    " ON CONFLICT (subject, n) DO NOTHING"
)
_content = msgspec.json.Decoder(dict[str, Any])


class CareProjection:
    """The projection "care" of the ledger "tickets". Ordered: a subject's events in their order."""

    name = "care"
    ledgers: tuple[str, ...] = ("tickets",)
    ordered = True
    private = frozenset({"care_plaintext"})  # a rebuild's report shows none of it

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def create(self, conn: Connection) -> None:
        await conn.execute(CREATE)

    def subject_of(self, event: Envelope) -> str | None:
        return event.aggregate if event.type in STATEMENTS or event.type in TICKETS else None

    def forget(self) -> None:
        """Nothing is cached."""

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        """Fold the commits: tickets' events many at once, the rarer ones of care one by one."""
        tickets: list[BaseModel] = []
        care: list[tuple[Envelope, Any]] = []
        for commit in commits:
            for event in commit.events():
                if event.type in TICKETS:
                    tickets.append(event.read(MODELS[event.type]))
                elif event.type in STATEMENTS:
                    care.append((event, event.read(MODELS[event.type])))
        if tickets:
            await ticket_rows(conn, tickets)
        texts = await self._texts(conn, care)
        for event, model in care:
            statement, values = STATEMENTS[event.type]
            await conn.execute(statement, *values(model), event.aggregateversion or 0)
            if event.aggregate in texts and event.type in PARTS:
                row = texts[event.aggregate].get(event.aggregateversion or 0)
                if row is not None:
                    await conn.execute(_INSERT_TEXT, *row)

    async def _texts(
        self, conn: Connection, care: Sequence[tuple[Envelope, Any]]
    ) -> dict[str, dict[int, tuple[Any, ...]]]:
        """Return aggregate -> version -> row of plaintext, for what can be unsealed; all keys in one query."""
        sealed = [
            (event.aggregate or "", event.aggregateversion or 0, PARTS[event.type][1], model.content)
            for event, model in care
            if event.type in PARTS and model.content is not None
        ]
        boxes: list[Sealed] = [box for *_, box in sealed]
        texts: dict[str, dict[int, tuple[Any, ...]]] = {}
        opened = await self._vault.unseal_many(conn, boxes) if boxes else []
        for (subject, n, part, box), content in zip(sealed, opened, strict=True):
            if content is not None:
                _content.decode(content)  # what is no document is poison here, not in a reader
                texts.setdefault(subject, {})[n] = (box.customer, subject, part, n, content.decode())
        return texts
