"""The organisation as rows: written inline from a decision's events, read back as the state that decisions take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from typing import Any

from pydantic import BaseModel

from contracts.org import (
    Absence,
    AbsencesChanged,
    AccountRegistered,
    Membership,
    MembershipsChanged,
    PersonRegistered,
    PostDefined,
    PublisherRegistered,
    PublisherRevoked,
    RoleGrant,
    RolesChanged,
    UnitDefined,
    UnitRetired,
    Validity,
)
from contracts.registry import CONTEXTS
from services.kernel.aggregates import write_aggregates
from services.kernel.codec import Commit
from services.kernel.database import Connection
from services.kernel.trust import write_trust
from services.org.domain import Account, Organisation, Person, Post, Publisher, Unit

PEOPLE_LISTS: dict[type[BaseModel], tuple[str, tuple[str, ...]]] = {
    MembershipsChanged: ("membership", ("person", "n", "unit", "post", "since", "until")),
    AbsencesChanged: ("absence", ("person", "n", "since", "until", "kind")),
    RolesChanged: ("role_grant", ("person", "n", "role", "unit")),
}

UPSERTS: dict[type[BaseModel], tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    UnitDefined: (
        "INSERT INTO unit (unit, kind, name_zh, name_en, parent, ord) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (unit) DO UPDATE SET kind = $2, name_zh = $3, name_en = $4, parent = $5, ord = $6,"
        " retired = NULL",
        lambda e: (e.unit, e.kind, e.name_zh, e.name_en, e.parent, e.order),
    ),
    UnitRetired: ("UPDATE unit SET retired = $2 WHERE unit = $1", lambda e: (e.unit, e.on)),
    PostDefined: (
        "INSERT INTO post (post, name_zh, name_en, unit) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (post) DO UPDATE SET name_zh = $2, name_en = $3, unit = $4",
        lambda e: (e.post, e.name_zh, e.name_en, e.unit),
    ),
    PersonRegistered: (
        "INSERT INTO person (person, name) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET name = $2",
        lambda e: (e.person, e.name),
    ),
    AccountRegistered: (
        "INSERT INTO account (platform, handle, owner, client) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (platform, handle) DO UPDATE SET owner = $3, client = $4",
        lambda e: (e.platform, e.handle, e.owner, e.client),
    ),
    PublisherRegistered: (
        "INSERT INTO publisher (publisher, title, types, sources, contexts) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (publisher) DO UPDATE SET title = $2, types = $3, sources = $4, contexts = $5, revoked = false",
        lambda e: (e.publisher, e.title, e.types, e.sources, e.contexts),
    ),
    PublisherRevoked: ("UPDATE publisher SET revoked = true WHERE publisher = $1", lambda e: (e.publisher,)),
}


async def write_rows(conn: Connection, appended: Sequence[tuple[str, BaseModel]]) -> None:
    """Write the events of one decision into the rows; runs of one type together, in order."""
    for kind, run in groupby((event for _, event in appended), key=_kind):
        events: list[Any] = list(run)
        if kind in PEOPLE_LISTS:
            await _replace_lists(conn, kind, events)
            continue
        if kind in UPSERTS:
            statement, values = UPSERTS[kind]
            await conn.executemany(statement, [values(event) for event in events])
        if kind is AccountRegistered:
            await _replace_spans(conn, events)
        for event in events:
            await write_trust(conn, event)


def _kind(event: BaseModel) -> type[BaseModel]:
    return type(event)


async def _replace_lists(conn: Connection, kind: type[BaseModel], events: Sequence[Any]) -> None:
    table, columns = PEOPLE_LISTS[kind]
    last = {event.person: event for event in events}
    await conn.execute(f"DELETE FROM {table} WHERE person = ANY($1)", list(last))
    records = [
        (person, n, *(getattr(item, column) for column in columns[2:]))
        for person, event in last.items()
        for n, item in enumerate(
            getattr(event, {"membership": "memberships", "absence": "absences"}.get(table, "roles"))
        )
    ]
    await conn.copy_records_to_table(table, records=records, columns=columns)


async def _replace_spans(conn: Connection, events: Sequence[AccountRegistered]) -> None:
    last = {(event.platform, event.handle): event for event in events}
    await conn.execute(
        "DELETE FROM account_span s USING unnest($1::text[], $2::text[]) AS a (platform, handle)"
        " WHERE s.platform = a.platform AND s.handle = a.handle",
        [platform for platform, _ in last], [handle for _, handle in last],
    )  # fmt: skip
    records = [
        (*key, what, n, span.since, span.until)
        for key, event in last.items()
        for what, spans in (("registered", event.registered), ("verified", event.verified))
        for n, span in enumerate(spans)
    ]
    columns = ("platform", "handle", "what", "n", "since", "until")
    await conn.copy_records_to_table("account_span", records=records, columns=columns)


async def restore(conn: Connection, commit: Commit, ref: int) -> None:
    """Write the rows of a commit that came back by healing or import. Credentials do not: they are in no ledger."""
    events = commit.events()
    versions = [(e.aggregate, e.aggregateversion) for e in events if e.aggregate and e.aggregateversion]
    await write_aggregates(conn, ref, versions)
    models = CONTEXTS["org"]
    known = [event for event in events if event.type in models]
    await write_rows(conn, [(e.aggregate or "", e.read(models[e.type])) for e in known])


async def lock_decisions(conn: Connection) -> None:
    """Let one decision at a time read and change the organisation: its rules span units, people and accounts."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext('org decisions'))")


async def load(
    conn: Connection,
    *,
    people: Collection[str] | None = (),
    accounts: Collection[tuple[str, str]] | None = (),
) -> Organisation:
    """Read units, posts, publishers, and the people and accounts asked for (None = all)."""
    units = await conn.fetch("SELECT unit, kind, name_zh, name_en, parent, ord AS order, retired FROM unit")
    posts = await conn.fetch("SELECT post, name_zh, name_en, unit FROM post")
    publishers = await conn.fetch("SELECT publisher, title, types, sources, contexts, revoked FROM publisher")
    return Organisation(
        {row["unit"]: Unit(**dict(row)) for row in units},
        {row["post"]: Post(**dict(row)) for row in posts},
        await load_people(conn, people),
        await load_accounts(conn, accounts),
        {row["publisher"]: _publisher(row) for row in publishers},
    )


def _publisher(row: Any) -> Publisher:
    types, sources, contexts = (tuple(row[column]) for column in ("types", "sources", "contexts"))
    return Publisher(row["publisher"], row["title"], types, sources, contexts, row["revoked"])


async def load_people(conn: Connection, people: Collection[str] | None) -> dict[str, Person]:
    """Read people with their lists, by staff number."""
    if people is not None and not people:
        return {}
    which, args = ("", ()) if people is None else (" WHERE person = ANY($1)", (list(people),))
    rows = await conn.fetch(f"SELECT person, name FROM person{which} ORDER BY person", *args)
    memberships = await _lists(conn, "membership", which, args)
    absences = await _lists(conn, "absence", which, args)
    roles = await _lists(conn, "role_grant", which, args)
    return {
        key: Person(
            key,
            row["name"],
            tuple(
                Membership(unit=m["unit"], post=m["post"], since=m["since"], until=m["until"]) for m in memberships[key]
            ),
            tuple(Absence(since=a["since"], until=a["until"], kind=a["kind"]) for a in absences[key]),
            tuple(RoleGrant(role=r["role"], unit=r["unit"]) for r in roles[key]),
        )
        for row in rows
        if (key := row["person"])
    }


async def _lists(conn: Connection, table: str, which: str, args: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in await conn.fetch(f"SELECT * FROM {table}{which} ORDER BY person, n", *args):
        found[row["person"]].append(row)
    return found


async def load_accounts(
    conn: Connection, accounts: Collection[tuple[str, str]] | None
) -> dict[tuple[str, str], Account]:
    """Read accounts with their spans, by (platform, handle)."""
    if accounts is not None and not accounts:
        return {}
    which, args = "", []
    if accounts is not None:
        which = " WHERE (platform, handle) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
        args = [[platform for platform, _ in accounts], [handle for _, handle in accounts]]
    rows = await conn.fetch(f"SELECT * FROM account{which} ORDER BY platform, handle", *args)
    spans: dict[tuple[str, str, str], list[Validity]] = defaultdict(list)
    for span in await conn.fetch(f"SELECT * FROM account_span{which} ORDER BY platform, handle, what, n", *args):
        key = (span["platform"], span["handle"], span["what"])
        spans[key].append(Validity(since=span["since"], until=span["until"]))
    return {
        (platform, handle): Account(
            platform,
            handle,
            row["owner"],
            row["client"],
            tuple(spans[platform, handle, "registered"]),
            tuple(spans[platform, handle, "verified"]),
        )
        for row in rows
        for platform, handle in [(row["platform"], row["handle"])]
    }
