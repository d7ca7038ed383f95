"""`POST /v1/token`: a grant (publisher token, password, service or instance secret) becomes a bearer token.

Roles are read when the token is made; it lives ten minutes at most, so that what was taken away ends soon.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from contracts.org import Role, RoleGrant
from services.kernel import clock
from services.kernel.auth import Principal, issue
from services.kernel.database import Connection, Database
from services.kernel.errors import Refusal, Unavailable
from services.kernel.settings import Settings
from services.org.credentials import PasswordCheck, publisher_token_stands, same
from services.org.domain import Person
from services.org.keys import Signer
from services.org.rows import load_people


class _Grant(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublisherGrant(_Grant):
    """A publishing system with its long-lived token."""

    grant: Literal["publisher", "publisher_token"]
    publisher: str
    token: SecretStr


class ServiceGrant(_Grant):
    """One of this system's own services."""

    grant: Literal["service"]
    service: str
    secret: SecretStr


class InstanceGrant(_Grant):
    """Whoever can read this instance's secrets, in any role; `person` acts for that person."""

    grant: Literal["instance"]
    secret: SecretStr
    role: Role
    person: str | None = None
    unit: str | None = None


class PasswordGrant(_Grant):
    """A person with a password."""

    grant: Literal["password"]
    person: str
    password: SecretStr = Field(max_length=200)


Grant = Annotated[PublisherGrant | ServiceGrant | InstanceGrant | PasswordGrant, Field(discriminator="grant")]


class TokenAnswer(BaseModel):
    """A bearer token; `expires_in` seconds."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6750's name of the scheme
    expires_in: int


@dataclass
class TokenIssuer:
    """Turns grants into tokens."""

    settings: Settings
    db: Database
    signer: Signer
    passwords: PasswordCheck

    async def grant(self, grant: Grant) -> TokenAnswer:
        """Return a token. Refusal 401 `grant_refused`, 422, 429; Unavailable before the first key was made."""
        async with self.db.conn() as conn:
            principal = await self._principal(conn, grant)
        key = await self.signer.current()
        if key is None:
            raise Unavailable("no_signing_key", "the first signing key has not been made yet")
        now = clock.now()
        seconds = self.settings.token_seconds
        principal = Principal(
            principal.sub,
            principal.kind,
            principal.roles,
            principal.types,
            principal.sources,
            now,
            now + timedelta(seconds=seconds),
        )
        return TokenAnswer(access_token=issue(principal, key.key, key.key_id), expires_in=seconds)

    async def _principal(self, conn: Connection, grant: Grant) -> Principal:
        match grant:
            case PublisherGrant():
                if not await publisher_token_stands(conn, grant.publisher, grant.token.get_secret_value()):
                    raise _refused("publisher and token do not fit, or the publisher is revoked")
                row = await conn.fetchrow("SELECT * FROM publisher WHERE publisher = $1", grant.publisher)
                if row is None:
                    raise _refused("the publisher has gone")
                roles = (RoleGrant(role="publisher"),)
                return Principal(grant.publisher, "publisher", roles, tuple(row["types"]), tuple(row["sources"]))
            case ServiceGrant():
                expected = self.settings.service_secrets.get(grant.service)
                if expected is None or not same(grant.secret.get_secret_value(), expected.get_secret_value()):
                    raise _refused("service and secret do not fit")
                return Principal(grant.service, "service", (RoleGrant(role="service"),))
            case InstanceGrant():
                if not same(grant.secret.get_secret_value(), self.settings.instance_secret.get_secret_value()):
                    raise _refused("this is not the instance's secret")
                return await self._of_instance(conn, grant)
            case PasswordGrant():
                return await self._of_password(conn, grant)

    async def _of_instance(self, conn: Connection, grant: InstanceGrant) -> Principal:
        if grant.person is None:
            return Principal("owner", "instance", (RoleGrant(role=grant.role, unit=grant.unit),))
        person = (await load_people(conn, [grant.person])).get(grant.person)
        if person is None:
            remedy = "Register the person first, or leave it out."
            raise Refusal("unknown_person", f"there is no person {grant.person!r}", field="person", remedy=remedy)
        if grant.unit is not None:
            return Principal(person.person, "person", (RoleGrant(role=grant.role, unit=grant.unit),))
        own = [role for role in roles_on(person, self._today()) if role.role == grant.role]
        return Principal(person.person, "person", tuple(own) or (RoleGrant(role=grant.role),))

    async def _of_password(self, conn: Connection, grant: PasswordGrant) -> Principal:
        stored = await conn.fetchval("SELECT hash FROM password WHERE person = $1", grant.person)
        if not await self.passwords.check(grant.person, grant.password.get_secret_value(), stored):
            raise _refused("person and password do not fit")
        person = (await load_people(conn, [grant.person]))[grant.person]
        return Principal(person.person, "person", roles_on(person, self._today()))

    def _today(self) -> date:
        return clock.now().astimezone(self.settings.zone).date()


def roles_on(person: Person, day: date) -> tuple[RoleGrant, ...]:
    """Return the roles granted, and `member` of each unit that the person belongs to on the day."""
    member = [
        RoleGrant(role="member", unit=item.unit)
        for item in person.memberships
        if item.since <= day and (item.until is None or day <= item.until)
    ]
    return tuple(dict.fromkeys([*person.roles, *(member or [RoleGrant(role="member")])]))


def _refused(detail: str) -> Refusal:
    remedy = "Check name and secret; a publisher's token can be rotated by an operator."
    return Refusal("grant_refused", detail, status=401, remedy=remedy)
