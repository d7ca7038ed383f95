"""The organisation in memory, loaded from the projection "org_facts" and kept at the position it was read at.

One `Roster` is frozen; `Rosters` loads what is newer than the last one, so that a change of one person costs one row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import msgspec

from contracts.org import Absence, Membership, RoleGrant, Validity
from services.kernel.database import Connection
from services.kpi.facts import Account, Period
from services.kpi.organisation import AbsenceRow, AccountRow, MembershipRow, Organisation, UnitRow


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    memberships: tuple[Membership, ...]
    absences: tuple[Absence, ...]
    roles: tuple[RoleGrant, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class AccountEntry:
    owner: str | None
    client: str | None
    registered: tuple[Validity, ...]
    verified: tuple[Validity, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class UnitEntry:
    unit: str
    kind: Any
    parent: str | None
    name_zh: str
    name_en: str
    place: int
    retired: date | None
    revision: int


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody and everything on record at `position` of the org ledger."""

    position: int
    version: int  # of the projection's tables
    people: dict[str, Person]
    accounts: dict[Account, AccountEntry]
    units: dict[str, UnitEntry]
    organisation: Organisation
    owned: dict[str, tuple[Account, ...]] = field(default_factory=dict)
    owned_revision: dict[str, int] = field(default_factory=dict)  # owner -> the latest of their accounts' revisions
    unit_revision: int = 0  # the latest of all units

    def name(self, person: str) -> str:
        """Return the person's name, "" where unknown."""
        known = self.people.get(person)
        return known.name if known else ""

    def stamp(self, person: str) -> int:
        """Return the last org commit that may have changed the person's figures."""
        known = self.people.get(person)
        return max(known.revision if known else 0, self.owned_revision.get(person, 0), self.unit_revision)

    def is_in(self, person: str, units: Iterable[str], period: Period) -> bool:
        """Return whether the person is in one of the units, or below, on any day of the period."""
        return person in self.organisation.masks_in(tuple(sorted(units)), period)


_memberships = msgspec.json.Decoder(list[dict[str, Any]])


class Rosters:
    """The newest roster, for one process."""

    def __init__(self) -> None:
        self._last: Roster | None = None

    async def at(self, conn: Connection, version: int, position: int) -> Roster:
        """Return the roster of the snapshot that `conn` reads.

        `version` is the live one of the projection, `position` the org ledger's in that snapshot.
        """
        last = self._last
        if last is not None and (last.version, last.position) == (version, position):
            return last
        if last is None or last.version != version or last.position > position:
            last = Roster(0, version, {}, {}, {}, Organisation())
        found = await _load(conn, last, position)
        current = self._last
        if current is None or (found.version, found.position) >= (current.version, current.position):
            self._last = found
        return found


async def _load(conn: Connection, last: Roster, position: int) -> Roster:
    units = await conn.fetch("SELECT * FROM unit WHERE revision > $1", last.position)
    people = await conn.fetch("SELECT * FROM person WHERE revision > $1", last.position)
    accounts = await conn.fetch("SELECT * FROM account WHERE revision > $1", last.position)
    if not (units or people or accounts):
        return replace(last, position=position)
    all_units = last.units | {row["unit"]: UnitEntry(**dict(row)) for row in units}
    all_people = last.people | {row["person"]: _person(row) for row in people}
    all_accounts = last.accounts | {(row["platform"], row["handle"]): _account(row) for row in accounts}
    owned: dict[str, list[Account]] = {}
    revisions: dict[str, int] = {}
    for account, entry in all_accounts.items():
        if entry.owner is not None:
            owned.setdefault(entry.owner, []).append(account)
            revisions[entry.owner] = max(revisions.get(entry.owner, 0), entry.revision)
    return Roster(
        position,
        last.version,
        all_people,
        all_accounts,
        all_units,
        _organisation(all_units, all_people, all_accounts),
        {owner: tuple(sorted(mine)) for owner, mine in owned.items()},
        revisions,
        max((unit.revision for unit in all_units.values()), default=0),
    )


def _person(row: Any) -> Person:
    return Person(
        row["name"],
        tuple(_list(Membership, row["memberships"])),
        tuple(_list(Absence, row["absences"])),
        tuple(_list(RoleGrant, row["roles"])),
        row["revision"],
    )


def _account(row: Any) -> AccountEntry:
    registered, verified = _list(Validity, row["registered"]), _list(Validity, row["verified"])
    return AccountEntry(row["owner"], row["client"], tuple(registered), tuple(verified), row["revision"])


def _list(model: Any, text: str) -> list[Any]:
    return [model.model_validate(item, extra="ignore") for item in _memberships.decode(text)]


def _organisation(
    units: dict[str, UnitEntry], people: dict[str, Person], accounts: dict[Account, AccountEntry]
) -> Organisation:
    return Organisation(
        [UnitRow(u.unit, u.kind, u.parent) for u in units.values()],
        [MembershipRow(who, m.unit, m.since, m.until) for who, p in people.items() for m in p.memberships],
        [AbsenceRow(who, a.since, a.until) for who, p in people.items() for a in p.absences],
        [
            AccountRow(
                *account,
                entry.owner,
                tuple((v.since, v.until) for v in entry.registered),
                tuple((v.since, v.until) for v in entry.verified),
            )
            for account, entry in accounts.items()
        ],
    )
