"""The ledger over HTTP, for dependants that fill a gap and for auditors: the same bytes, the same hashes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from services.kernel.archive import read_commits, to_document
from services.kernel.errors import Refusal
from services.kernel.ledger import Ledger

PAGE = 500  # commits an answer at most


def ledger_router(access: Any) -> APIRouter:
    """Return the routes, which read `app.state.ledger`; `access` lets services and auditors in."""
    router = APIRouter(prefix="/v1/ledger", tags=["ledger"], dependencies=[Depends(access)])

    @router.get("", summary="Commits after a number, in order")
    async def page(
        request: Request,
        name: Annotated[str, Query(alias="ledger")],
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
    ) -> Response:
        ledger: Ledger = request.app.state.ledger
        if name not in ledger.names:
            raise Refusal("unknown_ledger", f"this service keeps {', '.join(ledger.names)}", status=404, field="ledger")
        commits = await read_commits(ledger.db, name, after, limit)
        heads = await ledger.heads()
        body = {"data": [to_document(commit) for commit in commits], "head": heads[name]}
        return Response(msgspec.json.encode(body), media_type="application/json")

    @router.get("/head", summary="The last number of each ledger, and whether it may be written")
    async def head(request: Request) -> dict[str, Any]:
        ledger: Ledger = request.app.state.ledger
        return {
            "heads": await ledger.heads(),
            "refusals": {name: refusal.code for name, refusal in ledger.refusals.items()},
        }

    return router
