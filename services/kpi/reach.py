"""Whose figures somebody may see: the permission table's scope, applied to people, accounts, pairs and units.

Source: handbook, "Who may do what". Must not know routes or rows; it answers yes or no.
"""

from __future__ import annotations

from contracts.access import scope_of
from contracts.kpi import ScopeKind
from services.kernel.auth import Access
from services.kpi.facts import Period
from services.kpi.roster import Roster


def may_see(access: Access, scope: ScopeKind, scope_id: str, roster: Roster, period: Period) -> bool:
    """Whether the principal may see the figures of one person, account, pair or unit in a period."""
    if scope == "unit":
        return may_see_unit(access, scope_id, roster)
    if access.everything:
        return True
    if scope == "pair":
        return any(may_see_person(access, person, roster, period) for person in scope_id.split("+", 1))
    if scope == "account":
        platform, _, handle = scope_id.partition("/")
        entry = roster.accounts.get((platform, handle))
        return entry is not None and entry.owner is not None and may_see_person(access, entry.owner, roster, period)
    return may_see_person(access, scope_id, roster, period)


def may_see_person(access: Access, person: str, roster: Roster, period: Period) -> bool:
    """Whether the principal may see a person's figures: own, or of the units that the role reaches."""
    if access.everything or access.own(person):
        return True
    return access.scope in ("unit", "parent") and roster.is_in(person, access.units, period)


def may_see_unit(access: Access, unit: str, roster: Roster) -> bool:
    """Whether the principal may see a unit's totals: its own units, what is below, and what the table adds above."""
    found = scope_of("totals.read", access.principal.roles)
    if found is None:
        return False
    scope, units = found
    if scope == "all":
        return True
    if scope == "own":
        return False
    organisation = roster.organisation
    if any(unit in organisation.below(mine) for mine in units):
        return True
    return scope == "parent" and any(unit == _parent(roster, mine) for mine in units)


def _parent(roster: Roster, unit: str) -> str | None:
    entry = roster.units.get(unit)
    return entry.parent if entry else None
