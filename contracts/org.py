"""Events of the organisation ledger ("org"): units, people, memberships, absences, accounts, publishers, roles, keys.

Effective-dated lists (memberships, absences, registrations) travel whole in each change, so that a reader replaces
and never patches. Days are local days of the centre; `until` is the last day included, None = open.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

UnitKind = Literal["centre", "department", "group"]
Role = Literal[
    "director", "assistant", "department_head", "group_leader", "member", "auditor", "operator", "publisher", "service"
]


class OrgModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Membership(OrgModel):
    unit: str
    post: str | None = None
    since: date
    until: date | None = None


class Absence(OrgModel):
    since: date
    until: date
    kind: str = "leave"


class Validity(OrgModel):
    """A span of days, both ends included; `until` None = open."""

    since: date
    until: date | None = None


class RoleGrant(OrgModel):
    role: Role
    unit: str | None = None  # head of which department, leader of which group


class UnitDefined(OrgModel):
    """A unit was created or renamed, moved or re-described; H-10 .. H-15."""

    event_type: ClassVar[str] = "org.unit_defined.v1"
    unit: str
    kind: UnitKind
    name_zh: str
    name_en: str
    parent: str | None = None
    order: int = 0


class UnitRetired(OrgModel):
    event_type: ClassVar[str] = "org.unit_retired.v1"
    unit: str
    on: date


class PostDefined(OrgModel):
    event_type: ClassVar[str] = "org.post_defined.v1"
    post: str
    name_zh: str
    name_en: str
    unit: str | None = None


class PersonRegistered(OrgModel):
    """A person became known (or was renamed) under a staff number."""

    event_type: ClassVar[str] = "org.person_registered.v1"
    person: str
    name: str


class MembershipsChanged(OrgModel):
    """The whole list of a person's memberships, as it is now known (backdated changes included)."""

    event_type: ClassVar[str] = "org.memberships_changed.v1"
    person: str
    memberships: list[Membership]
    reason: str | None = None


class AbsencesChanged(OrgModel):
    event_type: ClassVar[str] = "org.absences_changed.v1"
    person: str
    absences: list[Absence]
    reason: str | None = None


class AccountRegistered(OrgModel):
    """A promotional account: registered on the days of `registered`, verified on those of `verified`."""

    event_type: ClassVar[str] = "org.account_registered.v1"
    platform: str
    handle: str
    owner: str | None = None  # staff number
    client: str | None = None  # None = the company's own account
    registered: list[Validity]
    verified: list[Validity] = Field(default_factory=list)


class RolesChanged(OrgModel):
    event_type: ClassVar[str] = "org.roles_changed.v1"
    person: str
    roles: list[RoleGrant]


class PublisherRegistered(OrgModel):
    """A publishing system; `types` are activity type names it may send ("*" = all), `sources` the CloudEvents
    sources it may speak as (default: its own name)."""

    event_type: ClassVar[str] = "org.publisher_registered.v1"
    publisher: str
    title: str = ""
    types: list[str]
    sources: list[str]
    contexts: list[str] = Field(default_factory=lambda: ["activity"])


class PublisherRevoked(OrgModel):
    event_type: ClassVar[str] = "org.publisher_revoked.v1"
    publisher: str


class PublisherTokenIssued(OrgModel):
    """A token was created or rotated. The token itself is nowhere in the ledger."""

    event_type: ClassVar[str] = "org.publisher_token_issued.v1"
    publisher: str


class SigningKeyPublished(OrgModel):
    """A public key that signs bearer tokens (RFC 8037 OKP JWK, as JSON text)."""

    event_type: ClassVar[str] = "org.signing_key_published.v1"
    key_id: str
    jwk: str
    not_after: datetime | None = None


class SigningKeyRetired(OrgModel):
    event_type: ClassVar[str] = "org.signing_key_retired.v1"
    key_id: str


class PrincipalRevoked(OrgModel):
    """Bearer tokens of this principal issued before `before` are void from now on."""

    event_type: ClassVar[str] = "org.principal_revoked.v1"
    principal: str
    before: datetime


OrgEvent = (
    UnitDefined
    | UnitRetired
    | PostDefined
    | PersonRegistered
    | MembershipsChanged
    | AbsencesChanged
    | AccountRegistered
    | RolesChanged
    | PublisherRegistered
    | PublisherRevoked
    | PublisherTokenIssued
    | SigningKeyPublished
    | SigningKeyRetired
    | PrincipalRevoked
)
