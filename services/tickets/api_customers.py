"""Routes about customers: register, change, read, erase. Everything personal goes into a seal before it is recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from contracts.customers import ErasureCause, Profile, Side
from services.kernel.auth import Access, allow
from services.kernel.codec import Envelope
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kernel.web import IdempotencyKey, IfMatch, etag, expected_version
from services.tickets import customers
from services.tickets.commanding import answer, asked, change, create, instant, tickets_of
from services.tickets.customer_reach import refuse_customer_beyond
from services.tickets.customers import ChangeCustomer, EraseCustomer, RegisterCustomer
from services.tickets.erasing import erase_content

router = APIRouter(prefix="/v1", tags=["customers"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CustomerBody(_Body):
    side: Side = "outside"
    profile: Profile
    person: str | None = None
    unit: str | None = None


class ErasureBody(_Body):
    cause: ErasureCause = "asked_by_customer"


@router.post("/customers", summary="Register a customer; its name and contacts are sealed with a key of its own")
async def register_customer(
    request: Request, response: Response, body: CustomerBody,
    access: Access = allow("customers.write"), key: IdempotencyKey = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key)

    async def decide(name: str, work: Work) -> Sequence[BaseModel]:
        await refuse_twice(work, body.person)
        await tickets.vault.new_key(work.conn, name)
        profile = await tickets.vault.seal(work.conn, name, body.profile)
        command = RegisterCustomer(name, body.side, profile, body.person, body.unit, by.by, instant(work))
        return customers.decide(None, command)

    return answer(response, await create(tickets, by, "customer", decide))


async def refuse_twice(work: Work, person: str | None) -> None:
    """Refuse (409 `customer_known`) to register one of ours a second time."""
    if person is None:
        return
    known = await work.conn.fetchval("SELECT customer FROM public.customer WHERE person = $1 AND NOT erased", person)
    if known:
        raise Refusal(
            "customer_known", f"{person} is customer {known}", status=409, field="person", remedy=f"Use {known}."
        )


@router.put("/customers/{customer}", summary="Replace a customer's profile")
async def change_customer(
    request: Request, response: Response, customer: str, body: Profile,
    access: Access = allow("customers.write"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))

    async def decide(events: Sequence[Envelope], work: Work) -> Sequence[BaseModel]:
        state = customers.fold(events)
        if state is not None:
            await refuse_customer_beyond(tickets, access, events)
        if state is not None and not state.erased:
            [before] = await tickets.vault.unseal_many(work.conn, [state.profile])
            if before is not None and Profile.model_validate_json(before) == body:
                return []
        profile = await tickets.vault.seal(work.conn, customer, body)
        return customers.decide(state, ChangeCustomer(profile, by.by, instant(work)))

    return answer(response, await change(tickets, by, customers.aggregate_of(customer), decide))


@router.post("/customers/{customer}/erasure", summary="Erase a customer: its key and all plaintext, for good")
async def erase_customer(
    request: Request, response: Response, customer: str, body: ErasureBody,
    access: Access = allow("customers.erase"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))

    async def decide(events: Sequence[Envelope], work: Work) -> Sequence[BaseModel]:
        state = customers.fold(events)
        decided = customers.decide(state, EraseCustomer(body.cause, by.by, instant(work)))
        await erase_content(work.conn, customer)
        return decided

    return answer(response, await change(tickets, by, customers.aggregate_of(customer), decide))


@router.get("/customers/{customer}", summary="A customer as it stands, with its profile")
async def read_customer(
    request: Request, response: Response, customer: str, access: Access = allow("customers.read")
) -> dict[str, Any]:
    tickets = tickets_of(request)
    async with tickets.db.tx("repeatable_read", readonly=True) as conn:
        events, version = await Work(tickets.committer.ledger, conn).load(customers.aggregate_of(customer))
        state = customers.fold(events)
        if state is None:
            raise Refusal("customer_unknown", f"there is no customer {customer}", status=404, field="customer")
        await refuse_customer_beyond(tickets, access, events)
        [plain] = await tickets.vault.peek_many(conn, [state.profile])
    etag(response, version)
    return {
        "data": {
            "customer": customer,
            "side": state.side,
            "person": state.person,
            "unit": state.unit,
            "erased": state.erased,
            "profile": json.loads(plain) if plain is not None else None,
        },
        "version": version,
    }
