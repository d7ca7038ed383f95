"""The organisation as tickets knows it: the units' tree, people's names and memberships, publishers with their grants.

Events carry whole lists, so the newest event of a subject is its row. Who leads what is in the token, not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from contracts.org import (
    MembershipsChanged,
    PersonRegistered,
    PublisherRegistered,
    PublisherRevoked,
    UnitDefined,
    UnitRetired,
)
from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection, Database
from services.kernel.projection import reading

NAME = "organisation"

DDL = """
CREATE TABLE unit (unit text PRIMARY KEY, kind text NOT NULL, parent text, name_zh text NOT NULL,
    name_en text NOT NULL, place integer NOT NULL, retired date);
CREATE TABLE person (person text PRIMARY KEY, name text NOT NULL);
CREATE TABLE membership (person text NOT NULL, unit text NOT NULL, since date NOT NULL, until date);
CREATE INDEX membership_person ON membership (person);
CREATE INDEX membership_unit ON membership (unit);
CREATE TABLE publisher (publisher text PRIMARY KEY, types text[] NOT NULL, sources text[] NOT NULL,
    contexts text[] NOT NULL, revoked boolean NOT NULL);
"""
_UNIT = """
INSERT INTO unit VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (unit) DO UPDATE SET kind = excluded.kind, parent = excluded.parent, name_zh = excluded.name_zh,
    name_en = excluded.name_en, place = excluded.place
"""
_PUBLISHER = """
INSERT INTO publisher VALUES ($1, $2, $3, $4, false)
ON CONFLICT (publisher) DO UPDATE SET types = excluded.types, sources = excluded.sources,
    contexts = excluded.contexts, revoked = false
"""
_PERSON = "INSERT INTO person VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET name = excluded.name"


class OrganisationProjection:
    """The projection "organisation" of the ledger "org". Ordered: the newest event of a subject wins."""

    name = NAME
    ledgers: tuple[str, ...] = ("org",)
    ordered = True

    async def create(self, conn: Connection) -> None:
        await conn.execute(DDL)

    def subject_of(self, event: Envelope) -> str | None:
        return event.aggregate

    def forget(self) -> None:
        """Nothing is cached."""

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        """Replace the rows of what the commits are about; an import's thousands of people in a few statements."""
        people: dict[str, str] = {}
        memberships: dict[str, MembershipsChanged] = {}
        for commit in commits:
            for event in commit.events():
                match event.type:
                    case PersonRegistered.event_type:
                        person = event.read(PersonRegistered)
                        people[person.person] = person.name
                    case MembershipsChanged.event_type:
                        change = event.read(MembershipsChanged)
                        memberships[change.person] = change
                    case _:
                        await _single(conn, event)
        if people:
            await conn.executemany(_PERSON, sorted(people.items()))
        if memberships:
            await conn.execute("DELETE FROM membership WHERE person = ANY($1)", list(memberships))
            await conn.executemany(
                "INSERT INTO membership VALUES ($1, $2, $3, $4)",
                [(p, m.unit, m.since, m.until) for p, change in memberships.items() for m in change.memberships],
            )


async def _single(conn: Connection, event: Envelope) -> None:
    """Apply what comes rarely, one at a time: units and publishers."""
    match event.type:
        case UnitDefined.event_type:
            unit = event.read(UnitDefined)
            await conn.execute(_UNIT, unit.unit, unit.kind, unit.parent, unit.name_zh, unit.name_en, unit.order)
        case UnitRetired.event_type:
            retired = event.read(UnitRetired)
            await conn.execute("UPDATE unit SET retired = $2 WHERE unit = $1", retired.unit, retired.on)
        case PublisherRegistered.event_type:
            grant = event.read(PublisherRegistered)
            sources = grant.sources or [grant.publisher]
            await conn.execute(_PUBLISHER, grant.publisher, grant.types, sources, grant.contexts)
        case PublisherRevoked.event_type:
            gone = event.read(PublisherRevoked).publisher
            await conn.execute("UPDATE publisher SET revoked = true WHERE publisher = $1", gone)
        case _:
            return  # what tickets does not ask about


async def unit_tree(db: Database) -> dict[str, str | None]:
    """Return unit -> the unit above it, retired ones too: their old tickets are still somebody's to see."""
    async with reading(db, NAME) as (conn, _):
        return {row["unit"]: row["parent"] for row in await conn.fetch("SELECT unit, parent FROM unit")}


async def units_of(db: Database, person: str, day: date) -> frozenset[str]:
    """Return the units that somebody belongs to on a day."""
    async with reading(db, NAME) as (conn, _):
        rows = await conn.fetch(
            "SELECT unit FROM membership WHERE person = $1 AND since <= $2 AND (until IS NULL OR until >= $2)",
            person, day,
        )  # fmt: skip
    return frozenset(row["unit"] for row in rows)
