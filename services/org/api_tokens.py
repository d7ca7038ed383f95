"""Routes of credentials: bearer tokens, the public keys, passwords, key rotation, revocation."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, Field, SecretStr

from contracts.org import PrincipalRevoked
from services.kernel.auth import Access, allow
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kernel.positions import render
from services.kernel.web import IdempotencyKey
from services.org.commanding import Org, asked, submit
from services.org.credentials import hash_password
from services.org.decisions import unknown
from services.org.domain import aggregate_of
from services.org.keys import key_set, retire, rotate
from services.org.tokens import Grant, TokenAnswer

router = APIRouter(tags=["credentials"])


class NewPassword(BaseModel):
    password: SecretStr = Field(min_length=10, max_length=200)


class Revocation(BaseModel):
    """`principal` as the ledger names it: "person:1001", "publisher:forum-bot", "service:kpi"."""

    principal: str = Field(pattern=r"^(person|publisher|service|instance):.{1,200}$")


def org_of(request: Request) -> Org:
    org: Org = request.app.state.org
    return org


@router.post("/v1/token", summary="Exchange a grant for a bearer token of at most ten minutes")
async def token(request: Request, response: Response, grant: Annotated[Grant, Body()]) -> TokenAnswer:
    response.headers["Cache-Control"] = "no-store"
    return await org_of(request).issuer.grant(grant)


@router.get("/.well-known/jwks.json", summary="The public keys that sign bearer tokens")
async def jwks(request: Request) -> dict[str, Any]:
    async with org_of(request).db.conn() as conn:
        return await key_set(conn)


@router.put("/v1/people/{person}/password", status_code=204, summary="Set a person's password")
async def set_password(
    request: Request, person: str, new: NewPassword, access: Access = allow("passwords.write")
) -> None:
    if not access.everything and not access.own(person):
        raise access.refuse(f"person {person}")
    org = org_of(request)
    hashed = await hash_password(new.password.get_secret_value())
    async with org.db.tx() as conn:
        if not await conn.fetchval("SELECT true FROM person WHERE person = $1", person):
            raise unknown("person", person)
        await conn.execute(
            "INSERT INTO password (person, hash, set_at) VALUES ($1, $2, now())"
            " ON CONFLICT (person) DO UPDATE SET hash = $2, set_at = now()",
            person, hashed,
        )  # fmt: skip


@router.post("/v1/keys/rotation", summary="Add a signing key; the others end when their last tokens have")
async def rotate_keys(
    request: Request, access: Access = allow("keys.manage"), key: IdempotencyKey = None
) -> dict[str, Any]:
    org = org_of(request)
    done = await submit(org, await asked(request, access, key), rotate)
    org.signer.forget()
    return {"key_id": done.value, "positions": render(done.positions)}


@router.delete("/v1/keys/{key_id}", summary="Take a signing key out at once: all its tokens are void")
async def retire_key(
    request: Request, key_id: str, access: Access = allow("keys.manage"), key: IdempotencyKey = None
) -> dict[str, Any]:
    org = org_of(request)

    async def work(work: Work) -> None:
        rows = await work.conn.fetch("SELECT key_id, not_after FROM public.signing_key")
        if key_id not in {row["key_id"] for row in rows}:
            raise unknown("key", key_id)
        if not any(row["key_id"] != key_id and row["not_after"] is None for row in rows):
            raise Refusal(
                "last_signing_key",
                "without this key no token could be signed",
                status=409,
                remedy="Rotate first: POST /v1/keys/rotation; then retire this key.",
            )
        await retire(work, key_id)

    done = await submit(org, await asked(request, access, key), work)
    org.signer.forget()
    return {"key_id": key_id, "positions": render(done.positions)}


@router.post("/v1/revocations", summary="Void every bearer token that a principal holds now")
async def revoke_principal(
    request: Request, what: Revocation, access: Access = allow("principals.revoke"), key: IdempotencyKey = None
) -> dict[str, Any]:
    async def work(work: Work) -> None:
        event = PrincipalRevoked(principal=what.principal, before=work.now)
        aggregate = aggregate_of(event)
        work.append(aggregate, await work.version(aggregate), [event])

    done = await submit(org_of(request), await asked(request, access, key), work)
    return {"principal": what.principal, "positions": render(done.positions)}
