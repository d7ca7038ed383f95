"""Whose activities a principal may see or change: roles and units turned into staff numbers of today's organisation."""

from __future__ import annotations

from datetime import date

from contracts.activity import SYSTEM_SOURCE
from services.activity.known import grant_of
from services.activity.rules import Grant
from services.kernel.auth import Access
from services.kernel.database import Database
from services.kernel.projection import reading
from services.kernel.publishers import sender

MEMBERS = """
WITH RECURSIVE below AS (
    SELECT u.unit FROM unnest($1::text[]) AS u (unit)
    UNION
    SELECT unit.unit FROM unit JOIN below ON unit.parent = below.unit
)
SELECT DISTINCT person FROM membership JOIN below USING (unit)
WHERE $2::date IS NULL OR (since <= $2 AND (until IS NULL OR until >= $2))
"""


async def people_in_reach(db: Database, access: Access, day: date | None) -> frozenset[str] | None:
    """Return the staff numbers that an access reaches on a day, or ever (`day` None); the answer None: everybody."""
    if access.everything:
        return None
    people: set[str] = set()
    if access.principal.person is not None:
        people.add(access.principal.person)
    if access.scope in ("unit", "parent") and access.units:
        async with reading(db, "identities") as (conn, _):
            people.update(row[0] for row in await conn.fetch(MEMBERS, list(access.units), day))
    return frozenset(people)


async def sender_grant(db: Database, access: Access, today: date) -> Grant:
    """Return what the sender of events over HTTP may send: a publisher by its token, a person in the system's name."""
    principal = access.principal
    if principal.kind == "publisher":
        return grant_of(sender(principal.sub, principal.types, principal.sources))
    subjects = await people_in_reach(db, access, today)
    return Grant(principal.id, frozenset((SYSTEM_SOURCE,)), None, subjects)
