"""Who and what org has on record, so that intake can decide by itself: people, accounts, publishers, membership.

A change and a hold that rests on the same person or account take the same advisory lock, so that neither misses the
other; where events are held, the change leaves a to-do to look at them again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from contracts.org import (
    AccountRegistered,
    MembershipsChanged,
    PersonRegistered,
    PublisherRegistered,
    PublisherRevoked,
    UnitDefined,
)
from services.activity.rules import Identity
from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection
from services.kernel.reaction import put_todos

LOCK_CLASS = 0x6964
LOCKS = 256  # identities share locks by hash: an import of thousands must not use up the server's lock table
RELEASE = "release"

DDL = """
CREATE TABLE person (person text PRIMARY KEY, name text NOT NULL);
CREATE TABLE account (platform text NOT NULL, handle text NOT NULL, PRIMARY KEY (platform, handle));
CREATE TABLE publisher (publisher text PRIMARY KEY, types text[] NOT NULL, sources text[] NOT NULL,
    contexts text[] NOT NULL, revoked boolean NOT NULL);
CREATE TABLE membership (person text NOT NULL, unit text NOT NULL, since date NOT NULL, until date);
CREATE INDEX membership_person ON membership (person);
CREATE TABLE unit (unit text PRIMARY KEY, parent text);
"""


def waits_for(identity: Identity) -> str:
    """Return the text that stands for an identity in holds, to-dos and locks; people are one kind."""
    kind, platform, name = identity
    return f"account:{len(platform)}:{platform}/{name}" if kind == "account" else f"person:{name}"


async def lock_identities(conn: Connection, keys: Iterable[str]) -> None:
    """Take the locks of these identities until the transaction ends, in ascending order."""
    slots = sorted({zlib.crc32(key.encode()) % LOCKS for key in keys})
    if slots:
        await conn.execute(
            "SELECT pg_advisory_xact_lock($1, k) FROM (SELECT k FROM unnest($2::int[]) AS n (k) ORDER BY k) AS s",
            LOCK_CLASS, slots,
        )  # fmt: skip


class IdentitiesProjection:
    """Folds org's ledger into what intake asks. The live one also wakes holds; a rebuild's emits nothing."""

    name = "identities"
    ledgers: tuple[str, ...] = ("org",)
    ordered = False

    def __init__(self, *, live: bool = True) -> None:
        self.live = live

    async def create(self, conn: Connection) -> None:
        await conn.execute(DDL)

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        fold = _Fold()
        for commit in commits:
            for event in commit.events():
                fold.take(event)
        if self.live:
            await fold.wake_holds(conn)
        await fold.write(conn)

    def subject_of(self, event: Envelope) -> str | None:
        return None

    def forget(self) -> None:
        """Nothing is cached."""


class _Fold:
    """The last word on each identity in a run of commits."""

    def __init__(self) -> None:
        self.people: dict[str, str] = {}
        self.accounts: set[tuple[str, str]] = set()
        self.publishers: dict[str, PublisherRegistered] = {}
        self.revoked: dict[str, bool] = {}
        self.memberships: dict[str, MembershipsChanged] = {}
        self.units: dict[str, str | None] = {}

    def take(self, event: Envelope) -> None:
        match event.type:
            case PersonRegistered.event_type:
                person = event.read(PersonRegistered)
                self.people[person.person] = person.name
            case AccountRegistered.event_type:
                account = event.read(AccountRegistered)
                self.accounts.add((account.platform, account.handle))
            case PublisherRegistered.event_type:
                publisher = event.read(PublisherRegistered)
                self.publishers[publisher.publisher] = publisher
                self.revoked[publisher.publisher] = False
            case PublisherRevoked.event_type:
                self.revoked[event.read(PublisherRevoked).publisher] = True
            case MembershipsChanged.event_type:
                change = event.read(MembershipsChanged)
                self.memberships[change.person] = change
            case UnitDefined.event_type:
                unit = event.read(UnitDefined)
                self.units[unit.unit] = unit.parent
            case _:
                return  # what intake does not ask about

    async def wake_holds(self, conn: Connection) -> None:
        """Lock the identities against a hold being made this moment, and leave a to-do where one waits."""
        keys = [waits_for(("person", "", person)) for person in self.people]
        keys += [waits_for(("account", platform, handle)) for platform, handle in self.accounts]
        await lock_identities(conn, keys)
        if keys:
            waiting = await conn.fetch(
                "SELECT DISTINCT waits_for FROM public.activity_hold_reason WHERE waits_for = ANY($1)", keys
            )
            await put_todos(conn, RELEASE, [(row["waits_for"], {}) for row in waiting])

    async def write(self, conn: Connection) -> None:
        await self._write_people(conn)
        await self._write_publishers(conn)
        if self.units:
            await conn.executemany(
                "INSERT INTO unit VALUES ($1, $2) ON CONFLICT (unit) DO UPDATE SET parent = excluded.parent",
                list(self.units.items()),
            )

    async def _write_people(self, conn: Connection) -> None:
        if self.people:
            await conn.executemany(
                "INSERT INTO person VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET name = excluded.name",
                sorted(self.people.items()),
            )
        if self.accounts:
            await conn.executemany("INSERT INTO account VALUES ($1, $2) ON CONFLICT DO NOTHING", sorted(self.accounts))
        if self.memberships:
            await conn.execute("DELETE FROM membership WHERE person = ANY($1)", list(self.memberships))
            await conn.executemany(
                "INSERT INTO membership VALUES ($1, $2, $3, $4)",
                [(p, m.unit, m.since, m.until) for p, change in self.memberships.items() for m in change.memberships],
            )

    async def _write_publishers(self, conn: Connection) -> None:
        for name, publisher in self.publishers.items():
            await conn.execute(
                "INSERT INTO publisher VALUES ($1, $2, $3, $4, false) ON CONFLICT (publisher) DO UPDATE SET"
                " types = excluded.types, sources = excluded.sources, contexts = excluded.contexts, revoked = false",
                name, publisher.types, publisher.sources or [name], publisher.contexts,
            )  # fmt: skip
        gone = [name for name, revoked in self.revoked.items() if revoked]
        if gone:
            await conn.execute("UPDATE publisher SET revoked = true WHERE publisher = ANY($1)", gone)
