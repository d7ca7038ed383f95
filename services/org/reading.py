"""Questions about the organisation, answered from the rows in one snapshot, with the position that they stand at."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from typing import Any

from contracts.org import Validity
from services.kernel.database import Connection, Database, fetch_one
from services.kernel.errors import Refusal
from services.kernel.positions import parse
from services.org.domain import Account, Organisation, Person, Unit
from services.org.rows import load


@asynccontextmanager
async def snapshot(db: Database, at_least: str | None = None) -> AsyncIterator[tuple[Connection, dict[str, int]]]:
    """A read-only snapshot and its position. The rows move with the ledger, so a position is there or does not exist.

    Raises Refusal 400 `position_beyond_head`.
    """
    wanted = parse(at_least).get("org", 0)
    async with db.tx("repeatable_read", readonly=True) as conn:
        head = int((await fetch_one(conn, "SELECT number FROM ledger_head WHERE ledger = 'org'"))["number"])
        if wanted > head:
            raise Refusal(
                "position_beyond_head",
                f"the ledger stands at org:{head}",
                field="at_least",
                remedy="Ask for a position that an answer has named.",
            )
        yield conn, {"org": head}


def below(organisation: Organisation, units: Collection[str]) -> set[str]:
    """Return the units and everything that stands below them."""
    found = {unit for unit in units if unit in organisation.units}
    grown = True
    while grown:
        more = {unit.unit for unit in organisation.units.values() if unit.parent in found} - found
        found |= more
        grown = bool(more)
    return found


def valid_on(item: Any, day: date) -> bool:
    """Whether a span of days (both ends included) holds the day."""
    return bool(item.since <= day and (item.until is None or day <= item.until))


def as_of_day(organisation: Organisation, day: date, visible: set[str] | None, own: str | None) -> dict[str, Any]:
    """Return the organisation on a day: the units that stand, and who and what belongs to them then.

    `visible` None: everybody; else the people who were in these units on the day, and `own`.
    """
    people = [
        _person_on(person, day)
        for person in organisation.people.values()
        if visible is None
        or person.person == own
        or any(valid_on(m, day) and m.unit in visible for m in person.memberships)
    ]
    seen = {person["person"] for person in people}
    accounts = [
        {**account_dict(account), "verified_on_day": any(valid_on(span, day) for span in account.verified)}
        for account in organisation.accounts.values()
        if any(valid_on(span, day) for span in account.registered) and (visible is None or account.owner in seen)
    ]
    units = [unit for unit in organisation.units.values() if unit.retired is None or unit.retired >= day]
    return {
        "on": day.isoformat(),
        "units": [unit_dict(unit) for unit in sorted(units, key=lambda u: (u.order, u.unit))],
        "posts": [asdict(post) for post in organisation.posts.values()],
        "people": people,
        "accounts": accounts,
    }


def _person_on(person: Person, day: date) -> dict[str, Any]:
    whole = person_dict(person)
    whole["memberships"] = [_json(item) for item in person.memberships if valid_on(item, day)]
    whole["absent"] = next((item.kind for item in person.absences if valid_on(item, day)), None)
    del whole["absences"]
    return whole


def unit_dict(unit: Unit) -> dict[str, Any]:
    return {**asdict(unit), "retired": unit.retired.isoformat() if unit.retired else None}


def person_dict(person: Person) -> dict[str, Any]:
    return {
        "person": person.person,
        "name": person.name,
        "memberships": [_json(item) for item in person.memberships],
        "absences": [_json(item) for item in person.absences],
        "roles": [_json(item) for item in person.roles],
    }


def account_dict(account: Account) -> dict[str, Any]:
    return {
        "platform": account.platform,
        "handle": account.handle,
        "owner": account.owner,
        "client": account.client,
        "registered": [_span(item) for item in account.registered],
        "verified": [_span(item) for item in account.verified],
    }


def _span(item: Validity) -> Any:
    return _json(item)


def _json(item: Any) -> Any:
    return item.model_dump(mode="json")


def encode_cursor(*key: str) -> str:
    """Return an opaque cursor behind `key`."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, parts: int) -> tuple[str, ...]:
    """Return the key that a cursor stands behind; empty strings for the beginning. Refusal 400 `bad_cursor`."""
    if not cursor:
        return ("",) * parts
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if len(key) == parts and all(isinstance(part, str) for part in key):
            return tuple(key)
    except (ValueError, TypeError):
        pass
    raise Refusal("bad_cursor", "this is no cursor of this list", field="cursor", remedy="Take `next` as it came.")


async def people_page(
    conn: Connection, *, units: Collection[str] | None, day: date | None, own: str | None, after: str, limit: int
) -> list[str]:
    """Return staff numbers after `after`: everybody, or members of units (on a day, or ever) and `own`."""
    if units is None:
        rows = await conn.fetch("SELECT person FROM person WHERE person > $1 ORDER BY person LIMIT $2", after, limit)
    else:
        rows = await conn.fetch(
            "SELECT DISTINCT person FROM (SELECT person FROM membership WHERE unit = ANY($3) AND"
            " ($4::date IS NULL OR (since <= $4 AND (until IS NULL OR until >= $4)))"
            " UNION ALL SELECT person FROM person WHERE person = $5) AS seen"
            " WHERE person > $1 ORDER BY person LIMIT $2",
            after, limit, list(units), day, own,
        )  # fmt: skip
    return [row["person"] for row in rows]


async def everything(conn: Connection) -> Organisation:
    """Read the whole organisation."""
    return await load(conn, people=None, accounts=None)
