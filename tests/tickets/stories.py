"""Tickets' commits for the read models' tests: stories told in commands, decided, sealed with real keys, in a ledger.

Many stories are mixed by chance, as commits of several tickets come in turn; a seed always tells the same.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from pydantic import BaseModel

from contracts.customers import Content, CustomerRegistered, Profile, Sealed
from contracts.service_levels import ServiceLevels, ServiceLevelsPutInForce
from contracts.tickets import TicketEvent
from services.kernel.codec import Commit, encode_body, encode_event
from services.kernel.errors import Refusal
from services.tickets.decisions import decide
from services.tickets.domain import Command, Levels, OpenTicket, Ticket
from services.tickets.evolve import fold
from services.tickets.sealing import Vault
from tests.tickets import given as say
from tests.tickets.given import PROMISES, levels

VAULT = Vault()
CUSTOMERS = ("C1", "C2", "C3")
AT = datetime(2026, 3, 1, tzinfo=UTC)
UNDER = levels(close_after=16 * say.HOUR, ownership=say.UNTOUCHED)

Story = dict[str, list[TicketEvent]]  # ticket -> its events


def told(*commands: Command, under: Levels = UNDER) -> list[TicketEvent]:
    """Return the events of commands carried out in turn; what is refused did not happen."""
    ticket: Ticket | None = None
    events: list[TicketEvent] = []
    for command in commands:
        try:
            decided = decide(ticket, command, under)
        except Refusal:
            continue
        ticket = fold(decided, under, ticket)
        events += decided
    return events


def random_story(seed: int, tickets: int = 12, steps: int = 12) -> Story:
    """Tickets over five months, each with commands by chance; whatever is refused leaves no trace."""
    chance = random.Random(seed)
    story: Story = {}
    for number in range(1, tickets + 1):
        moment = say.at("09:00", chance.randint(0, 150)) + timedelta(minutes=chance.randint(0, 500))
        opening = say.opened(
            moment, ticket=f"T{number}", customer=chance.choice(CUSTOMERS), unit=chance.choice(["care", "records"]),
            kind=chance.choice(["complaint", "complaint", "inquiry", "technical_support"]),
            topic=chance.choice([None, "refund", "delay"]), project=chance.choice([None, "P1", "P2"]),
            priority=chance.choice(["urgent", "normal", "low"]),
        )  # fmt: skip
        commands: list[Command] = [opening]
        for _ in range(chance.randint(0, steps)):
            moment += timedelta(minutes=chance.randint(1, 900))
            commands.append(_step(chance, moment))
        story[f"T{number}"] = told(*(_of(command, opening) for command in commands))
    return story


def _step(chance: random.Random, at: datetime) -> Command:
    who, unit = chance.choice(["ann", "bob"]), chance.choice(["care", "records"])
    kind, topic = chance.choice(["complaint", "inquiry"]), chance.choice([None, "refund", "delay"])
    steps: list[Command] = [
        say.reply(at, who), say.reply(at, who), say.note(at, who), say.assign(at, who), say.unassign(at),
        say.start(at, who), say.wait(at, chance.choice(["customer", "internal"]), who), say.resume(at, who),
        say.resolve(at, who), say.resolve(at, who), say.satisfied(at, chance.randint(1, 5)), say.reopen(at),
        say.close(at), say.hand_over(at, unit), say.message(at), say.time_passes(at),
        say.priority(at, chance.choice(["urgent", "low"])), say.classify(at, kind, topic), say.merge(at, "T0", "C1"),
    ]  # fmt: skip
    return chance.choice(steps)


def _of(command: Command, opening: OpenTicket) -> Command:
    """Return the command with its seal of the ticket's own customer."""
    content: Sealed | None = getattr(command, "content", None)
    if content is None:
        return command
    changes: dict[str, Any] = {"content": Sealed(customer=opening.customer, box=content.box)}
    return replace(command, **changes)


async def prepare(conn: asyncpg.Connection, customers: Sequence[str] = CUSTOMERS) -> None:
    """Make a key for each customer."""
    for customer in customers:
        await VAULT.new_key(conn, customer)


async def commits_of(
    conn: asyncpg.Connection, story: Story, seed: int = 0, service: ServiceLevels | None = None
) -> list[Commit]:
    """Return the ledger that tells the story: levels and customers first, then runs of the tickets' events, mixed."""
    chance = random.Random(seed)
    loaded = service or UNDER.service or PROMISES
    commits = [_commit(1, [(ServiceLevelsPutInForce(levels=loaded, by="boss", at=AT), "levels", 1)])]
    for customer in CUSTOMERS:
        profile = await VAULT.seal(conn, customer, Profile(name=f"客户{customer}"))
        registered = CustomerRegistered(customer=customer, side="outside", profile=profile, by="clerk", at=AT)
        commits.append(_commit(len(commits) + 1, [(registered, f"customer:{customer}", 1)]))
    left = {ticket: list(enumerate(events, 1)) for ticket, events in story.items() if events}
    while left:
        parts: list[tuple[BaseModel, str, int]] = []
        for ticket in chance.sample(sorted(left), min(len(left), chance.randint(1, 2))):
            for version, event in left[ticket][: chance.randint(1, 3)]:
                parts.append((await _sealed(conn, event), f"ticket:{ticket}", version))
                left[ticket] = left[ticket][1:]
            if not left[ticket]:
                del left[ticket]
        commits.append(_commit(len(commits) + 1, parts))
    return commits


async def _sealed(conn: asyncpg.Connection, event: Any) -> BaseModel:
    """Return the event with its words in a real seal (in a story the box holds them as they are)."""
    content = getattr(event, "content", None)
    if content is None:
        return event  # type: ignore[no-any-return]
    box = await VAULT.seal(conn, content.customer, Content(title=content.box, text=f"{content.box} 说的话"))
    return event.model_copy(update={"content": box})  # type: ignore[no-any-return]


def commit_of(number: int, *events: tuple[BaseModel, str, int]) -> Commit:
    """Return one commit of (event, aggregate, version)."""
    return _commit(number, events)


def _commit(number: int, events: Sequence[tuple[BaseModel, str, int]]) -> Commit:
    encoded = [
        encode_event(
            model, event_id=f"{number}-{i}", source="tickets", time=AT, aggregate=aggregate, aggregate_version=version
        )
        for i, (model, aggregate, version) in enumerate(events)
    ]
    body, encoding = encode_body(encoded)
    return Commit("tickets", "tickets/x", 1, number, b"", b"", b"{}", encoding, body)


async def rows_of(
    conn: asyncpg.Connection, projection: Any, schema: str, batches: Sequence[Sequence[Commit]], tables: Sequence[str]
) -> dict[str, list[tuple[Any, ...]]]:
    """Fold the batches into a schema of their own, one transaction each; return every table's rows, sorted."""
    await conn.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}")
    await projection.create(conn)
    for batch in batches:
        async with conn.transaction():
            await projection.apply(conn, batch)
    return {name: sorted(map(tuple, await conn.fetch(f"SELECT * FROM {name}")), key=repr) for name in tables}
