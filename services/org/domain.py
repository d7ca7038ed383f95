"""What the organisation is and how it may change: pure decisions on frozen data.

`decide(organisation, command)` answers with events (none where nothing would change) or raises a Refusal; `evolve`
takes an event into the state. What a command may refer to (units, posts, people) has to be in the organisation given.
Sources: handbook H-10 .. H-15, "Readings" (accounts, memberships, absences).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeVar, assert_never

from contracts.org import (
    Absence,
    AbsencesChanged,
    AccountRegistered,
    Membership,
    MembershipsChanged,
    OrgEvent,
    PersonRegistered,
    PostDefined,
    PrincipalRevoked,
    PublisherRegistered,
    PublisherRevoked,
    PublisherTokenIssued,
    RoleGrant,
    RolesChanged,
    SigningKeyPublished,
    SigningKeyRetired,
    UnitDefined,
    UnitKind,
    UnitRetired,
    Validity,
)

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Unit:
    unit: str
    kind: UnitKind
    name_zh: str
    name_en: str
    parent: str | None = None
    order: int = 0
    retired: date | None = None  # the last day it is there


@dataclass(frozen=True, slots=True)
class Post:
    post: str
    name_zh: str
    name_en: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    person: str
    name: str
    memberships: tuple[Membership, ...] = ()
    absences: tuple[Absence, ...] = ()
    roles: tuple[RoleGrant, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    platform: str
    handle: str
    owner: str | None = None
    client: str | None = None
    registered: tuple[Validity, ...] = ()
    verified: tuple[Validity, ...] = ()


@dataclass(frozen=True, slots=True)
class Publisher:
    publisher: str
    title: str = ""
    types: tuple[str, ...] = ("*",)
    sources: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ("activity",)
    revoked: bool = False


@dataclass(frozen=True)
class Organisation:
    """The organisation, or as much of it as a decision reads."""

    units: Mapping[str, Unit] = field(default_factory=dict)
    posts: Mapping[str, Post] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    accounts: Mapping[tuple[str, str], Account] = field(default_factory=dict)
    publishers: Mapping[str, Publisher] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DefineUnit:
    unit: Unit


@dataclass(frozen=True, slots=True)
class RetireUnit:
    unit: str
    on: date


@dataclass(frozen=True, slots=True)
class DefinePost:
    post: Post


@dataclass(frozen=True, slots=True)
class RegisterPerson:
    person: str
    name: str


@dataclass(frozen=True, slots=True)
class ChangeMemberships:
    person: str
    memberships: tuple[Membership, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeAbsences:
    person: str
    absences: tuple[Absence, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeRoles:
    person: str
    roles: tuple[RoleGrant, ...]


@dataclass(frozen=True, slots=True)
class RegisterAccount:
    account: Account


@dataclass(frozen=True, slots=True)
class RegisterPublisher:
    publisher: Publisher


@dataclass(frozen=True, slots=True)
class RevokePublisher:
    publisher: str


Command = (
    DefineUnit
    | RetireUnit
    | DefinePost
    | RegisterPerson
    | ChangeMemberships
    | ChangeAbsences
    | ChangeRoles
    | RegisterAccount
    | RegisterPublisher
    | RevokePublisher
)


def aggregate_of(event: OrgEvent) -> str:
    """Return the id of the aggregate that an event belongs to; its version is what If-Match compares."""
    match event:
        case UnitDefined() | UnitRetired():
            return f"unit:{event.unit}"
        case PostDefined():
            return f"post:{event.post}"
        case PersonRegistered() | MembershipsChanged() | AbsencesChanged() | RolesChanged():
            return f"person:{event.person}"
        case AccountRegistered():
            return f"account:{event.platform}/{event.handle}"
        case PublisherRegistered() | PublisherRevoked() | PublisherTokenIssued():
            return f"publisher:{event.publisher}"
        case SigningKeyPublished() | SigningKeyRetired():
            return f"key:{event.key_id}"
        case PrincipalRevoked():
            return f"principal:{event.principal}"
        case _:
            assert_never(event)


def evolve(organisation: Organisation, events: Iterable[OrgEvent]) -> Organisation:
    """Return the organisation after the events, in order. Each mapping is copied once, however many events."""
    new = Organisation(
        dict(organisation.units),
        dict(organisation.posts),
        dict(organisation.people),
        dict(organisation.accounts),
        dict(organisation.publishers),
    )
    for event in events:
        _take(new, event)
    return new


def _take(new: Organisation, event: OrgEvent) -> None:  # noqa: C901 - one case an event
    match event:
        case UnitDefined():
            _put(new.units, event.unit, Unit(**event.model_dump()))
        case UnitRetired():
            _put(new.units, event.unit, replace(new.units[event.unit], retired=event.on))
        case PostDefined():
            _put(new.posts, event.post, Post(**event.model_dump()))
        case PersonRegistered():
            known = new.people.get(event.person)
            person = replace(known, name=event.name) if known else Person(event.person, event.name)
            _put(new.people, event.person, person)
        case MembershipsChanged():
            changed = replace(new.people[event.person], memberships=tuple(event.memberships))
            _put(new.people, event.person, changed)
        case AbsencesChanged():
            _put(new.people, event.person, replace(new.people[event.person], absences=tuple(event.absences)))
        case RolesChanged():
            _put(new.people, event.person, replace(new.people[event.person], roles=tuple(event.roles)))
        case AccountRegistered():
            account = Account(
                event.platform,
                event.handle,
                event.owner,
                event.client,
                tuple(event.registered),
                tuple(event.verified),
            )
            _put(new.accounts, (event.platform, event.handle), account)
        case PublisherRegistered():
            publisher = Publisher(
                event.publisher, event.title, tuple(event.types), tuple(event.sources), tuple(event.contexts)
            )
            _put(new.publishers, event.publisher, publisher)
        case PublisherRevoked():
            _put(new.publishers, event.publisher, replace(new.publishers[event.publisher], revoked=True))
        case PublisherTokenIssued() | SigningKeyPublished() | SigningKeyRetired() | PrincipalRevoked():
            pass  # credentials and keys are no part of what the organisation decides about
        case _:
            assert_never(event)


def _put(mapping: Mapping[K, V], key: K, value: V) -> None:
    """Write into a mapping that `evolve` has just copied."""
    mapping[key] = value  # type: ignore[index]
