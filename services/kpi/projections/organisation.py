"""The organisation as the kpi service knows it: units, people with their dated lists, and accounts.

Events carry whole lists, so the newest event of a subject is its row. `revision` is the commit that last changed a row:
readers load only what is newer than what they have. Must not be asked day by day: `roster` builds the in-memory form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection
from services.kpi.changes import announce

_CREATE = """
CREATE TABLE unit (
    unit     text PRIMARY KEY,
    kind     text NOT NULL,
    parent   text,
    name_zh  text NOT NULL,
    name_en  text NOT NULL,
    place    integer NOT NULL,
    retired  date,
    revision bigint NOT NULL
);
CREATE TABLE person (
    person      text PRIMARY KEY,
    name        text NOT NULL DEFAULT '',
    memberships jsonb NOT NULL DEFAULT '[]',
    absences    jsonb NOT NULL DEFAULT '[]',
    roles       jsonb NOT NULL DEFAULT '[]',
    revision    bigint NOT NULL
);
CREATE INDEX person_revision ON person (revision);
CREATE TABLE account (
    platform   text NOT NULL,
    handle     text NOT NULL,
    owner      text,
    client     text,
    registered jsonb NOT NULL,
    verified   jsonb NOT NULL,
    revision   bigint NOT NULL,
    PRIMARY KEY (platform, handle)
);
CREATE INDEX account_revision ON account (revision);
"""

_UNIT = """
INSERT INTO unit (unit, kind, parent, name_zh, name_en, place, revision) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (unit) DO UPDATE SET kind = excluded.kind, parent = excluded.parent, name_zh = excluded.name_zh,
    name_en = excluded.name_en, place = excluded.place, revision = excluded.revision
"""
_RETIRED = "UPDATE unit SET retired = $2::text::date, revision = $3 WHERE unit = $1"
_PERSON = """
INSERT INTO person AS p (person, {column}, revision) SELECT k, v{cast}, r
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n (k, v, r) ORDER BY k
ON CONFLICT (person) DO UPDATE SET {column} = excluded.{column}, revision = greatest(p.revision, excluded.revision)
"""
_ACCOUNT = """
INSERT INTO account SELECT p, h, o, c, g::jsonb, v::jsonb, r FROM
    unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
    AS n (p, h, o, c, g, v, r) ORDER BY p, h
ON CONFLICT (platform, handle) DO UPDATE SET owner = excluded.owner, client = excluded.client,
    registered = excluded.registered, verified = excluded.verified, revision = excluded.revision
"""
_LISTS = {  # event type -> (column of person, field of the event)
    "org.person_registered.v1": ("name", "name"),
    "org.memberships_changed.v1": ("memberships", "memberships"),
    "org.absences_changed.v1": ("absences", "absences"),
    "org.roles_changed.v1": ("roles", "roles"),
}
_KINDS = {"org.unit_defined.v1", "org.unit_retired.v1", "org.account_registered.v1", *_LISTS}

Data = dict[str, Any]
_data = msgspec.json.Decoder(Data)


class OrganisationProjection:
    """The projection "org_facts" of the ledger "org". Ordered: the newest event of a subject wins."""

    name = "org_facts"
    ledgers: tuple[str, ...] = ("org",)
    ordered = True

    def __init__(self, *, live: bool = True) -> None:
        self._live = live

    async def create(self, conn: Connection) -> None:
        """Create the tables in the current schema."""
        await conn.execute(_CREATE)

    def forget(self) -> None:
        """Nothing is cached."""

    def subject_of(self, event: Envelope) -> str | None:
        """Return the unit, person or account that an event is about."""
        if event.type not in _KINDS:
            return None
        data = _data.decode(event.data)
        if "handle" in data:
            return f"account {data['platform']}/{data['handle']}"
        return f"person {data['person']}" if "person" in data else f"unit {data['unit']}"

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        """Replace the rows of what the commits are about; many people and accounts in one statement each."""
        people: dict[str, dict[str, tuple[str, int]]] = {}
        accounts: dict[tuple[str, str], tuple[Any, ...]] = {}
        for commit in commits:
            for event in commit.events():
                if event.type not in _KINDS:
                    continue
                data = _data.decode(event.data)
                if event.type in _LISTS:
                    column, field = _LISTS[event.type]
                    value = data[field] if column == "name" else _text(data[field])
                    people.setdefault(column, {})[data["person"]] = (value, commit.number)
                elif event.type == "org.account_registered.v1":
                    accounts[(data["platform"], data["handle"])] = _account(data, commit.number)
                else:
                    await _unit(conn, event.type, data, commit.number)
        for column, rows in people.items():
            statement = _PERSON.format(column=column, cast="" if column == "name" else "::jsonb")
            values, revisions = zip(*rows.values(), strict=True)
            await conn.execute(statement, list(rows), values, revisions)
        if accounts:
            await conn.execute(_ACCOUNT, *zip(*accounts.values(), strict=True))
        if self._live and (people or accounts):
            await announce(conn, None)


async def _unit(conn: Connection, event_type: str, data: Data, number: int) -> None:
    if event_type == "org.unit_retired.v1":
        await conn.execute(_RETIRED, data["unit"], data["on"], number)
        return
    await conn.execute(
        _UNIT, data["unit"], data["kind"], data.get("parent"), data["name_zh"], data["name_en"],
        data.get("order", 0), number,
    )  # fmt: skip


def _account(data: Data, number: int) -> tuple[Any, ...]:
    registered, verified = _text(data["registered"]), _text(data.get("verified", []))
    return (data["platform"], data["handle"], data.get("owner"), data.get("client"), registered, verified, number)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
