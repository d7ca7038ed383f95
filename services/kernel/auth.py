"""Who is asking, and may they: bearer tokens checked offline against the public keys that org publishes.

`allow("figures.read")` is the one way a route says what it needs; the answer is a row of contracts/access.py.
Must not call another service: keys and revocations stand in this service's own database.
"""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from contracts.access import TABLE, Scope, scope_of
from contracts.org import RoleGrant
from services.kernel import clock
from services.kernel.database import TRANSIENT, Database
from services.kernel.errors import Refusal, Unavailable

log = logging.getLogger("opsledger.kernel")

ISSUER = AUDIENCE = "opsledger"
ALGORITHM = "Ed25519"  # RFC 9864's fully specified name
ALGORITHMS = ["Ed25519", "EdDSA"]
REFRESH_SECONDS = 1.0  # how old the cached keys and revocations may be
LEEWAY_SECONDS = 5
CACHED_TOKENS = 4096

_EPOCH = datetime.fromtimestamp(0, UTC)
Kind = Literal["person", "publisher", "service", "instance"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a token was issued to. `types` and `sources` are a publisher's: what it may send, and as whom."""

    sub: str
    kind: Kind
    roles: tuple[RoleGrant, ...] = ()
    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    issued_at: datetime = _EPOCH
    expires_at: datetime = _EPOCH

    @property
    def id(self) -> str:
        """The name that the ledger and revocations use: "person:1001"."""
        return f"{self.kind}:{self.sub}"

    @property
    def person(self) -> str | None:
        """The staff number, if it is a person (or the instance acting for one)."""
        return self.sub if self.kind == "person" else None

    def has_role(self, role: str) -> bool:
        return any(grant.role == role for grant in self.roles)

    def may(self, action: str) -> bool:
        return scope_of(action, self.roles) is not None


@dataclass(frozen=True, slots=True)
class Access:
    """What the permission table answered: how far this principal may go with this action."""

    principal: Principal
    action: str
    scope: Scope
    units: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        return self.scope == "all"

    def own(self, person: str) -> bool:
        """Whether `person` is the one who is asking."""
        return self.principal.person == person

    def refuse(self, what: str) -> Refusal:
        """The refusal for something outside the scope."""
        return Refusal(
            "not_allowed",
            f"{self.principal.id} may not {self.action} for {what}",
            status=403,
            remedy="Ask somebody whose role reaches that far.",
        )


@dataclass(frozen=True, slots=True)
class Trust:
    """The public keys (key id -> key, end) and revocations (principal id -> instant) that stand now."""

    keys: Mapping[str, tuple[OKPKey, datetime | None]] = field(default_factory=dict)
    revoked: Mapping[str, datetime] = field(default_factory=dict)


async def load_trust(db: Database) -> Trust:
    """Read the kernel's tables signing_key and revocation."""
    async with db.conn() as conn:
        keys = await conn.fetch("SELECT key_id, jwk, not_after FROM public.signing_key")
        revoked = await conn.fetch("SELECT principal, before FROM public.revocation")
    return Trust(
        {row["key_id"]: (OKPKey.import_key(json.loads(row["jwk"])), row["not_after"]) for row in keys},
        {row["principal"]: row["before"] for row in revoked},
    )


class Authenticator:
    """Checks bearer tokens against cached keys and revocations, refreshed at most once a second."""

    def __init__(self, load: Callable[[], Awaitable[Trust]]) -> None:
        self._load = load
        self._trust = Trust()
        self._loaded_at: float | None = None
        self._lock = asyncio.Lock()
        self._checked: OrderedDict[str, Principal] = OrderedDict()

    async def check(self, token: str) -> Principal:
        """Return the token's principal. Refusal 401: `token_invalid`, `token_expired`, `token_revoked`."""
        await self._refresh()
        principal = self._checked.get(token)
        if principal is None:
            principal = await self._verify(token)
            self._checked[token] = principal
            if len(self._checked) > CACHED_TOKENS:
                self._checked.popitem(last=False)
        if clock.now().timestamp() > principal.expires_at.timestamp() + LEEWAY_SECONDS:
            raise _unauthorised("token_expired", "the token has expired", "Fetch a new one from POST /v1/token.")
        before = self._trust.revoked.get(principal.id)
        if before is not None and principal.issued_at < before:
            raise _unauthorised("token_revoked", "the token was revoked", "Ask an operator; then sign in again.")
        return principal

    async def _refresh(self, force: bool = False) -> None:
        if not force and self._fresh():
            return
        async with self._lock:
            if not force and self._fresh():
                return
            try:
                trust = await self._load()
            except TRANSIENT as error:
                if self._loaded_at is None:
                    raise Unavailable("keys_not_available", "the signing keys cannot be read") from error
                log.warning("trust_not_refreshed", extra={"error": repr(error)})
                return
            if trust.keys.keys() != self._trust.keys.keys():
                self._checked.clear()
            self._trust, self._loaded_at = trust, clock.monotonic()

    def _fresh(self) -> bool:
        return self._loaded_at is not None and clock.monotonic() - self._loaded_at < REFRESH_SECONDS

    async def _verify(self, token: str) -> Principal:
        key = self._key(token)
        if key is None:
            await self._refresh(force=self._loaded_at is None or clock.monotonic() - self._loaded_at > 0.1)
            key = self._key(token)
        if key is None:
            raise _unauthorised("token_invalid", "the token is signed with no key that is known here")
        try:
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
            return _principal_of(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _unauthorised("token_invalid", "the token's signature or claims are wrong") from error

    def _key(self, token: str) -> OKPKey | None:
        try:
            key_id = json.loads(_unpadded(token.partition(".")[0]))["kid"]
        except (ValueError, KeyError, TypeError):
            return None
        found = self._trust.keys.get(str(key_id))
        if found is None or (found[1] is not None and clock.now() > found[1]):
            return None
        return found[0]


def _unpadded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _principal_of(claims: Mapping[str, Any]) -> Principal:
    if claims["iss"] != ISSUER or claims["aud"] != AUDIENCE:
        raise ValueError("foreign token")
    return Principal(
        sub=str(claims["sub"]),
        kind=claims["kind"],
        roles=tuple(RoleGrant.model_validate(grant, extra="ignore") for grant in claims.get("roles", ())),
        types=tuple(claims.get("types", ())),
        sources=tuple(claims.get("sources", ())),
        issued_at=datetime.fromtimestamp(float(claims["iat"]), UTC),
        expires_at=datetime.fromtimestamp(float(claims["exp"]), UTC),
    )


def issue(principal: Principal, key: OKPKey, key_id: str) -> str:
    """Return a signed token for a principal with its `issued_at` and `expires_at`."""
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": principal.sub,
        "kind": principal.kind,
        "roles": [grant.model_dump(exclude_none=True) for grant in principal.roles],
        "iat": principal.issued_at.timestamp(),
        "exp": int(principal.expires_at.timestamp()),
        "jti": clock.new_id(),
    }
    if principal.kind == "publisher":
        claims |= {"types": list(principal.types), "sources": list(principal.sources)}
    return jwt.encode({"alg": ALGORITHM, "kid": key_id}, claims, key, algorithms=ALGORITHMS)


def _unauthorised(code: str, detail: str, remedy: str | None = None) -> Refusal:
    remedy = remedy or "Send `Authorization: Bearer <token>`; POST /v1/token on org gives one."
    return Refusal(code, detail, status=401, remedy=remedy)


_bearer = HTTPBearer(auto_error=False, description="A token from POST /v1/token, at most ten minutes old")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def authenticate(request: Request, credentials: Credentials) -> Principal:
    """The request's principal, checked. Needs `app.state.authenticator`."""
    if credentials is None:
        raise _unauthorised("token_missing", "there is no bearer token")
    authenticator: Authenticator = request.app.state.authenticator
    principal = await authenticator.check(credentials.credentials)
    request.scope["principal"] = principal.id
    return principal


class Allow:
    """A dependency that admits whom the table admits for `action`; tests find it on every route."""

    def __init__(self, action: str) -> None:
        if action not in TABLE:
            raise LookupError(f"contracts/access.py has no action {action!r}")
        self.action = action

    async def __call__(self, principal: Annotated[Principal, Depends(authenticate)]) -> Access:
        found = scope_of(self.action, principal.roles)
        if found is None:
            raise Refusal(
                "not_allowed",
                f"{principal.id} may not {self.action}",
                status=403,
                remedy="Ask for a role that may; contracts/access.py lists them.",
            )
        return Access(principal, self.action, *found)


def allow(action: str) -> Any:
    """Return the dependency for a route: `access: Access = allow("figures.read")`. LookupError: no such action."""
    return Depends(Allow(action))
