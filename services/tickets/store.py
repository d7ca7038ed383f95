"""tickets' own rows beside the ledger: written from a decision's events in its transaction, and again by a restore."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from contracts.customers import CustomerErased, CustomerRegistered
from contracts.registry import CONTEXTS
from contracts.service_levels import ServiceLevelsPutInForce
from services.kernel.aggregates import write_aggregates
from services.kernel.codec import Commit
from services.kernel.database import Connection
from services.kernel.errors import Refusal
from services.tickets import intake_rows
from services.tickets.erasing import erase_content

Numbered = Literal["ticket", "customer", "visit", "need", "case", "queue"]
LETTERS: dict[str, str] = {"ticket": "T", "customer": "C", "visit": "V", "need": "N", "case": "K", "queue": "Q"}
KIND_OF = {letter: kind for kind, letter in LETTERS.items()}
MODELS = CONTEXTS["tickets"]


async def next_id(conn: Connection, kind: Numbered) -> str:
    """Take the next id: "T1042", "V7". Numbers of refused decisions are left out."""
    number = await conn.fetchval("SELECT nextval($1::text::regclass)", f"public.{kind}_number")
    return f"{LETTERS[kind]}{number}"


async def write_rows(conn: Connection, appended: Sequence[tuple[str, BaseModel]]) -> None:
    """Write what decisions look up by other ways than their aggregate."""
    for _, event in appended:
        if isinstance(event, CustomerRegistered):
            await conn.execute(
                "INSERT INTO public.customer (customer, side, person, unit) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT (customer) DO NOTHING",
                event.customer, event.side, event.person, event.unit,
            )  # fmt: skip
        elif isinstance(event, CustomerErased):
            await conn.execute("UPDATE public.customer SET erased = true WHERE customer = $1", event.customer)
        elif isinstance(event, ServiceLevelsPutInForce):
            levels = event.levels
            await conn.execute(
                "INSERT INTO public.service_levels (version, effective, document) VALUES ($1, $2, $3::text::jsonb)"
                " ON CONFLICT (version) DO UPDATE SET effective = $2, document = $3::text::jsonb",
                levels.version, levels.effective, levels.model_dump_json(),
            )  # fmt: skip


async def set_timer(conn: Connection, ticket: str, due_at: datetime | None) -> None:
    """Say when time next brings something to a ticket; None: never."""
    if due_at is None:
        await conn.execute("DELETE FROM public.ticket_timer WHERE ticket = $1", ticket)
        return
    await conn.execute(
        "INSERT INTO public.ticket_timer AS t (ticket, due_at) VALUES ($1, $2)"
        " ON CONFLICT (ticket) DO UPDATE SET due_at = $2 WHERE t.due_at <> $2",
        ticket, due_at,
    )  # fmt: skip


async def restore(conn: Connection, commit: Commit, ref: int) -> None:
    """Write the rows of a commit that came back by healing or import. Keys do not come back: they are in no ledger.

    An erasure is carried out again, so that a key or plaintext of before it does not outlive it. A restored ticket's
    timer is due at once: the worker finds out what is next.
    """
    events = commit.events()
    versions = [(e.aggregate, e.aggregateversion) for e in events if e.aggregate and e.aggregateversion]
    await write_aggregates(conn, ref, versions)
    known = [(e.aggregate or "", e.read(MODELS[e.type])) for e in events if e.type in MODELS]
    await write_rows(conn, known)
    await intake_rows.restore(conn, events)
    for _, event in known:
        if isinstance(event, CustomerErased):
            await erase_content(conn, event.customer)
    recorded_at = datetime.fromisoformat(commit.metadata()["recorded_at"])
    for aggregate in sorted({aggregate for aggregate, _ in versions}):
        kind, _, name = aggregate.partition(":")
        if kind == "ticket":
            await set_timer(conn, name, recorded_at)
        await _count_on(conn, kind, name)


async def _count_on(conn: Connection, kind: str, name: str) -> None:
    """Let the next id be later than one that is there."""
    number = name.removeprefix(LETTERS.get(kind, "?"))
    if kind in LETTERS and number.isdecimal():
        sequence = f"{kind}_number"
        await conn.execute(
            f"SELECT setval('public.{sequence}', greatest($1, (SELECT last_value FROM public.{sequence})))", int(number)
        )


async def read_customer(conn: Connection, customer: str) -> dict[str, Any]:
    """Return a customer's row: side, person, unit. Refusal 404 `customer_unknown`, 410 `customer_erased`."""
    row = await conn.fetchrow("SELECT * FROM public.customer WHERE customer = $1", customer)
    if row is None:
        raise Refusal(
            "customer_unknown",
            f"there is no customer {customer}",
            status=404,
            field="customer",
            remedy="Register the customer first: POST /v1/customers.",
        )
    if row["erased"]:
        raise Refusal(
            "customer_erased",
            f"customer {customer} was erased",
            status=410,
            field="customer",
            remedy="Register the customer anew.",
        )
    return dict(row)


def as_json(text: Any) -> Any:
    """Return a jsonb column's value, which asyncpg gives as text."""
    return json.loads(text)
