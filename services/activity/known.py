"""What intake remembers of org's record. People and accounts never leave it, so what has once been seen is right for
ever; what has not been seen is asked for in the decision's own transaction, under the identity's lock."""

from __future__ import annotations

from collections.abc import Iterable

from services.activity.projections.identities import lock_identities, waits_for
from services.activity.rules import Grant, Identity
from services.kernel.database import Connection, Database
from services.kernel.projection import reading, schema_of
from services.kernel.publishers import Sender


class KnownIdentities:
    """Everybody and everything seen on record so far."""

    def __init__(self) -> None:
        self.people: set[str] = set()
        self.accounts: set[tuple[str, str]] = set()

    def knows(self, identity: Identity) -> bool:
        kind, platform, name = identity
        return (platform, name) in self.accounts if kind == "account" else name in self.people

    async def load(self, db: Database) -> None:
        """Read the whole record, at start."""
        async with reading(db, "identities") as (conn, _):
            self.people.update(row[0] for row in await conn.fetch("SELECT person FROM person"))
            self.accounts.update((row[0], row[1]) for row in await conn.fetch("SELECT platform, handle FROM account"))

    async def look_up(self, conn: Connection, identities: Iterable[Identity]) -> bool:
        """Lock the identities and read them again; return whether any of them has come to be known."""
        wanted = set(identities)
        await lock_identities(conn, [waits_for(who) for who in wanted])
        version = await conn.fetchval("SELECT live_version FROM projection WHERE name = 'identities'")
        schema = schema_of("identities", version or 1)
        names = [name for kind, _, name in wanted if kind != "account"]
        accounts = [(platform, name) for kind, platform, name in wanted if kind == "account"]
        people = await conn.fetch(f"SELECT person FROM {schema}.person WHERE person = ANY($1)", names)
        found = await conn.fetch(
            f"SELECT platform, handle FROM {schema}.account JOIN unnest($1::text[], $2::text[]) AS n (p, h)"
            " ON platform = p AND handle = h",
            [platform for platform, _ in accounts],
            [name for _, name in accounts],
        )
        self.people.update(row[0] for row in people)
        self.accounts.update((row[0], row[1]) for row in found)
        return bool(people or found)


def grant_of(publisher: Sender) -> Grant:
    """Return what a publisher may send, in its own names."""
    return Grant(publisher.name, publisher.sources, publisher.types)
