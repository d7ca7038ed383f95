"""What must hold of units, memberships, absences, accounts, roles and publishers. Pure; each breach has its code.

The functions answer with the checked value in its one normal form (lists sorted), so that the same file twice is the
same organisation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

from contracts.activity import SYSTEM_SOURCE
from contracts.org import Absence, Membership, RoleGrant, Validity
from contracts.subjects import PUBLISHER_PATTERN
from services.kernel.errors import Refusal
from services.org.domain import Account, Organisation, Publisher, Unit

UNIT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
PERSON_ID = re.compile(r"[^\s/+,:%?#]{1,40}")
CONTEXTS = ("activity", "tickets")
ORDER_LIMIT = 1_000_000
RANK = {"centre": 0, "department": 1, "group": 2}
OF_A_UNIT = ("department_head", "group_leader")


def _wrong(code: str, detail: str, field: str, remedy: str) -> Refusal:
    return Refusal(code, detail, status=422, field=field, remedy=remedy)


def is_text(value: str) -> bool:
    """Whether a text can be kept and shown in a line: no control characters, no half of a surrogate pair."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def check_post_id(post: str) -> None:
    if not post.strip() or len(post) > 100 or not is_text(post):
        remedy = "Use 1 to 100 characters without control characters."
        raise _wrong("bad_post", f"{post[:120]!r} is no post id", "post", remedy)


def check_name(name: str, field: str) -> None:
    if not name.strip() or len(name) > 200 or not is_text(name):
        remedy = "Give a name in one line."
        raise _wrong("bad_name", "a name has 1 to 200 characters, none of them a control character", field, remedy)


def check_person_id(person: str) -> None:
    if not PERSON_ID.fullmatch(person) or not is_text(person):
        remedy = "Use 1 to 40 characters without spaces, control characters and / + , : % ? #."
        raise _wrong("bad_person", f"{person!r} is no staff number", "person", remedy)


def check_unit(organisation: Organisation, new: Unit) -> None:
    """A unit stands under one of a wider kind; the centre under nothing; no unit under itself."""
    if not UNIT_ID.fullmatch(new.unit):
        raise _wrong("bad_unit", f"{new.unit!r} is no unit id", "unit", "Use 1 to 40 of a-z, 0-9 and -.")
    check_name(new.name_zh, "name_zh")
    check_name(new.name_en, "name_en")
    if abs(new.order) > ORDER_LIMIT:
        raise _wrong("bad_order", "units are ordered by small numbers", "order", f"Use at most {ORDER_LIMIT}.")
    if new.kind == "centre":
        if new.parent is not None:
            raise _wrong("centre_has_no_parent", "a centre stands under nothing", "parent", "Leave parent out.")
        return
    if new.parent is None:
        raise _wrong("parent_missing", f"a {new.kind} stands under another unit", "parent", "Name its parent.")
    parent = organisation.units.get(new.parent)
    if parent is None:
        raise _wrong("unknown_unit", f"there is no unit {new.parent!r}", "parent", "Define the parent first.")
    if RANK[parent.kind] >= RANK[new.kind]:
        remedy = "Groups stand under a department or the centre, departments under the centre."
        raise _wrong("parent_too_narrow", f"a {new.kind} cannot stand under a {parent.kind}", "parent", remedy)
    for child in organisation.units.values():
        if child.parent == new.unit and RANK[child.kind] <= RANK[new.kind]:
            remedy = "Move the units below it first."
            raise _wrong("child_too_wide", f"{child.unit} stands under it and is a {child.kind}", "kind", remedy)


def check_span(since: date, until: date | None, field: str) -> None:
    if until is not None and until < since:
        remedy = "`until` is the last day included; leave it out for an open end."
        raise _wrong("until_before_since", f"{until} is before {since}", f"{field}.until", remedy)


def check_apart(spans: Sequence[tuple[date, date | None]], code: str, what: str, field: str) -> None:
    """Refuse spans (sorted by their first day) of which two share a day."""
    for (since, until), (following, _) in pairwise(spans):
        if until is None or following <= until:
            detail = f"{what}: {since} .. {until or 'open'} and {following} .. share days"
            raise _wrong(code, detail, field, "End the first before the second begins.")


def check_memberships(
    organisation: Organisation, memberships: Sequence[Membership], field: str = "memberships"
) -> tuple[Membership, ...]:
    """Units and posts exist, and no two memberships of one unit share a day."""
    for index, item in enumerate(memberships):
        at = f"{field}.{index}"
        unit = organisation.units.get(item.unit)
        if unit is None:
            remedy = "Define the unit first, or mend its id."
            raise _wrong("unknown_unit", f"there is no unit {item.unit!r}", f"{at}.unit", remedy)
        if item.post is not None and item.post not in organisation.posts:
            remedy = "Define the post first, or mend its id."
            raise _wrong("unknown_post", f"there is no post {item.post!r}", f"{at}.post", remedy)
        check_span(item.since, item.until, at)
        if unit.retired is not None and (item.until is None or item.until > unit.retired):
            remedy = f"End the membership by {unit.retired}."
            raise _wrong("unit_retired", f"{unit.unit} is retired after {unit.retired}", f"{at}.until", remedy)
    ordered = tuple(sorted(memberships, key=lambda m: (m.since, m.unit, m.post or "")))
    for name in {item.unit for item in ordered}:
        spans = [(item.since, item.until) for item in ordered if item.unit == name]
        check_apart(spans, "memberships_overlap", name, field)
    return ordered


def check_absences(absences: Sequence[Absence], field: str = "absences") -> tuple[Absence, ...]:
    """No two absences share a day: a day is absent once."""
    for index, item in enumerate(absences):
        check_span(item.since, item.until, f"{field}.{index}")
    ordered = tuple(sorted(absences, key=lambda a: a.since))
    check_apart([(item.since, item.until) for item in ordered], "absences_overlap", "absences", field)
    return ordered


def _check_spans(spans: Sequence[Validity], code: str, field: str) -> tuple[Validity, ...]:
    for index, item in enumerate(spans):
        check_span(item.since, item.until, f"{field}.{index}")
    ordered = tuple(sorted(spans, key=lambda v: v.since))
    check_apart([(item.since, item.until) for item in ordered], code, field, field)
    return ordered


def check_account(organisation: Organisation, new: Account) -> Account:
    """An account is (platform, handle), exact strings; its owner is on record; its spans do not overlap."""
    if not new.platform.strip() or "/" in new.platform or len(new.platform) > 100 or not is_text(new.platform):
        raise _wrong("bad_platform", f"{new.platform!r}", "platform", "1 to 100 characters without /.")
    if not new.handle.strip() or len(new.handle) > 200 or not is_text(new.handle):
        raise _wrong("bad_handle", f"{new.handle!r}", "handle", "Give 1 to 200 characters.")
    if new.owner is not None and new.owner not in organisation.people:
        remedy = "Register the person first, or leave the owner out."
        raise _wrong("unknown_person", f"there is no person {new.owner!r}", "owner", remedy)
    if not new.registered:
        remedy = "Give at least one span of days, e.g. {since: 2026-01-01}."
        raise _wrong("registration_missing", "an account is registered from some day on", "registered", remedy)
    return replace(
        new,
        registered=_check_spans(new.registered, "registrations_overlap", "registered"),
        verified=_check_spans(new.verified, "verifications_overlap", "verified"),
    )


def check_roles(organisation: Organisation, roles: Sequence[RoleGrant]) -> tuple[RoleGrant, ...]:
    """Heads and leaders answer for a unit that is there; the roles of systems are not for people."""
    for index, grant in enumerate(roles):
        if grant.role in ("publisher", "service"):
            remedy = "Give a role of people; systems are registered as publishers."
            raise _wrong("role_of_systems", f"{grant.role} is not for people", f"roles.{index}.role", remedy)
        if grant.role in OF_A_UNIT and grant.unit is None:
            remedy = "Name the unit that the person answers for."
            raise _wrong("role_needs_unit", f"{grant.role} of what?", f"roles.{index}.unit", remedy)
        if grant.unit is not None and grant.unit not in organisation.units:
            remedy = "Define the unit first, or mend its id."
            raise _wrong("unknown_unit", f"there is no unit {grant.unit!r}", f"roles.{index}.unit", remedy)
    return tuple(sorted(set(roles), key=lambda grant: (grant.role, grant.unit or "")))


def check_publisher(organisation: Organisation, new: Publisher) -> Publisher:
    """A source belongs to one publisher: events are told apart by (source, id)."""
    if not PUBLISHER_PATTERN.fullmatch(new.publisher):
        raise _wrong("bad_publisher", f"{new.publisher!r}", "publisher", "Use 1 to 40 of a-z, 0-9 and -.")
    if not new.types or not all(new.types):
        remedy = 'Name activity types, e.g. "forum.post", or "*" for all.'
        raise _wrong("types_missing", "a publisher is allowed some types", "types", remedy)
    for context in new.contexts:
        if context not in CONTEXTS:
            raise _wrong("unknown_context", f"{context!r}", "contexts", f"Use {', '.join(CONTEXTS)}.")
    sources = new.sources or (new.publisher,)
    for source in sources:
        if not source or source == SYSTEM_SOURCE or source.startswith("/opsledger/"):
            remedy = "Use a source of the publisher's own."
            raise _wrong("source_reserved", f"{source!r} is not for publishers", "sources", remedy)
        for other in organisation.publishers.values():
            if other.publisher != new.publisher and not other.revoked and source in other.sources:
                remedy = "Use a source of the publisher's own."
                raise _wrong("source_taken", f"{source!r} is {other.publisher}'s", "sources", remedy)
    return replace(new, types=tuple(sorted(set(new.types))), sources=tuple(sorted(set(sources))), revoked=False)
