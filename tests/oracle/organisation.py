"""Questions to an organisation in its final state: plain dicts in the form that the org service imports.

    units     {unit, kind: centre|department|group, name_zh, name_en, parent}
    people    {person, name, memberships: [{unit, since, until}], absences: [{since, until}]}
    accounts  {platform, handle, owner, client, registered: [{since, until}], verified: [{since, until}]}
    publishers {publisher, types, sources}

Days are dates or "YYYY-MM-DD"; `until` is the last day included, absent or None = open.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

Organisation = dict[str, Any]
Account = tuple[str, str]  # (platform, handle): "An account is (platform, handle), exact strings"

# "Rows 4-12 bind members of the commercial and the public-interest group."
BOUND_GROUP_NAMES = ("商业组", "公益组")


def _as_day(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def covers(spans: Iterable[dict[str, Any]] | None, day: date) -> bool:
    for span in spans or ():
        until = span.get("until")
        if _as_day(span["since"]) <= day and (until is None or day <= _as_day(until)):
            return True
    return False


def people(organisation: Organisation) -> list[str]:
    return [person["person"] for person in organisation["people"]]


def units(organisation: Organisation) -> list[str]:
    return [unit["unit"] for unit in organisation["units"]]


def bound_groups(organisation: Organisation) -> list[str]:
    return [unit["unit"] for unit in organisation["units"] if unit.get("name_zh") in BOUND_GROUP_NAMES]


def _person(organisation: Organisation, number: str) -> dict[str, Any] | None:
    return next((person for person in organisation["people"] if person["person"] == number), None)


def member_of(organisation: Organisation, number: str, day: date) -> list[str]:
    """The units that the person is directly in on that day: one, several, or none."""
    person = _person(organisation, number)
    memberships = (person or {}).get("memberships") or []
    return [membership["unit"] for membership in memberships if covers([membership], day)]


def credited_units(organisation: Organisation, number: str, day: date) -> set[str]:
    """ "Credit stays with the unit the person was in on the day, and goes to each unit above once; no unit, no credit."

    "With several groups at once ... credit goes to each group, and once to each unit above."
    """
    parents = {unit["unit"]: unit.get("parent") for unit in organisation["units"]}
    credited: set[str] = set()
    for unit in member_of(organisation, number, day):
        above: str | None = unit
        while above is not None and above not in credited:
            credited.add(above)
            above = parents.get(above)
    return credited


def in_bound_group(organisation: Organisation, number: str, day: date) -> bool:
    """ "With several groups at once a person is bound if any binds"."""
    groups = bound_groups(organisation)
    return any(unit in groups for unit in member_of(organisation, number, day))


def is_due_day(organisation: Organisation, number: str, day: date) -> bool:
    """ "a due day is a calendar day (weekends and holidays included) in a bound group and not absent"."""
    person = _person(organisation, number)
    return in_bound_group(organisation, number, day) and not covers((person or {}).get("absences"), day)


def _account(organisation: Organisation, account: Account) -> dict[str, Any] | None:
    for entry in organisation["accounts"]:
        if (entry["platform"], entry["handle"]) == account:
            return dict(entry)
    return None


def knows_person(organisation: Organisation, number: str) -> bool:
    return _person(organisation, number) is not None


def knows_account(organisation: Organisation, account: Account) -> bool:
    """On record "at any time": the dates of its registration do not matter here."""
    return _account(organisation, account) is not None


def is_registered(organisation: Organisation, account: Account, day: date) -> bool:
    entry = _account(organisation, account)
    return entry is not None and covers(entry.get("registered"), day)


def is_verified(organisation: Organisation, account: Account, day: date) -> bool:
    """ "Verified" (32c, 33): registered and verified on the day of the event."""
    entry = _account(organisation, account)
    return entry is not None and is_registered(organisation, account, day) and covers(entry.get("verified"), day)


def accounts_of(organisation: Organisation, owner: str, platform: str) -> list[Account]:
    """The accounts of that platform which org has under this person, whatever their dates."""
    return [
        (entry["platform"], entry["handle"])
        for entry in organisation["accounts"]
        if entry.get("owner") == owner and entry["platform"] == platform
    ]


def accounts_on(organisation: Organisation, platform: str) -> list[Account]:
    return [(entry["platform"], entry["handle"]) for entry in organisation["accounts"] if entry["platform"] == platform]
