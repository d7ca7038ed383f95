"""POST /v1/evidence: the very activities behind a figure, exact at a position, so that they sum to the figure.

An activity is there if its commit is at or before the position and no void of it is.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.activity.api import read_cursor, respond, write_cursor
from services.activity.api_events import service_of
from services.activity.scope import people_in_reach
from services.kernel.auth import Access, allow
from services.kernel.clock import now
from services.kernel.database import fetch_one
from services.kernel.errors import Refusal
from services.kernel.positions import parse, render

router = APIRouter(tags=["activities"])

MAX_SELECTORS = 2000


class Selector(BaseModel):
    """Which activities of one person; empty or null = no condition."""

    model_config = ConfigDict(extra="forbid")

    subject: str
    since: date
    until: date
    types: list[str] = Field(default_factory=list)
    platforms: list[str] = Field(default_factory=list)
    accounts: list[tuple[str, str | None]] = Field(default_factory=list)
    on_topic: bool | None = None
    forms: list[str] = Field(default_factory=list)
    counterpart: str | None = None
    campaign: str | None = None
    days: list[date] | None = None


class EvidenceQuery(BaseModel):
    """Selectors whose union is asked for; each activity is listed once."""

    model_config = ConfigDict(extra="forbid")

    selectors: list[Selector] = Field(max_length=MAX_SELECTORS)
    at: str | None = None
    limit: int = Field(default=200, ge=0, le=2000)
    cursor: str | None = None


# The selectors travel as one JSON document; each walks the index (subject, day). Refs become commit numbers by join.
MATCHED = """
WITH selector AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS s (subject text, since date, until date, types text[],
        platforms text[], accounts jsonb, on_topic boolean, forms text[], counterpart text, campaign text, days date[])
), bound AS (
    SELECT * FROM unnest($2::text[], $3::bigint[]) AS b (ledger, number)
), matched AS (
    SELECT DISTINCT ON (a.day, a.key) a.*, c.ledger || ':' || c.number AS commit
    FROM selector s
    JOIN activity a ON a.subject = s.subject AND a.day >= s.since AND a.day <= s.until
    JOIN ledger_commit c ON c.ref = a.recorded_ref
    JOIN bound b ON b.ledger = c.ledger AND c.number <= b.number
    LEFT JOIN ledger_commit v ON v.ref = a.voided_ref
    WHERE a.state IN (1, 3)
      AND (v.ref IS NULL OR v.number > (SELECT number FROM bound WHERE bound.ledger = v.ledger))
      AND (s.types IS NULL OR a.type = ANY(s.types))
      AND (s.platforms IS NULL OR a.platform = ANY(s.platforms))
      AND (s.accounts IS NULL OR EXISTS (SELECT FROM jsonb_array_elements(s.accounts) AS e (pair)
           WHERE e.pair ->> 0 = a.platform AND e.pair ->> 1 IS NOT DISTINCT FROM a.account))
      AND (s.on_topic IS NULL OR a.on_topic = s.on_topic)
      AND (s.forms IS NULL OR a.form = ANY(s.forms))
      AND (s.counterpart IS NULL OR a.counterpart = s.counterpart)
      AND (s.campaign IS NULL OR a.campaign = s.campaign)
      AND (s.days IS NULL OR a.day = ANY(s.days))
    ORDER BY a.day, a.key
)
"""
TOTALS = MATCHED + "SELECT count(*) AS events, coalesce(sum(quantity), 0)::bigint AS quantity FROM matched"
PAGE = (
    MATCHED
    + """
SELECT source, id, type, subject, at AS time, day, platform, account, quantity, title, on_topic, form, counterpart,
       campaign, commit, key
FROM matched WHERE $4::date IS NULL OR (day, key) > ($4, $5::bytea) ORDER BY day, key LIMIT $6
"""
)


@router.post("/v1/evidence", summary="The activities behind a figure, exactly at a position, with their sum")
async def evidence(request: Request, query: EvidenceQuery, access: Access = allow("evidence.read")) -> Response:
    service = service_of(request)
    # Credit stays with the unit of the day, so a unit's figures rest on people who have left it, too.
    reach = await people_in_reach(service.db, access, None)
    outside = {s.subject for s in query.selectors} - reach if reach is not None else set()
    if outside:
        raise access.refuse(f"activities of {', '.join(sorted(outside)[:5])}")
    wanted = parse(query.at)
    day, key = read_cursor(query.cursor)
    async with service.db.tx("repeatable_read", readonly=True) as conn:
        rows = await conn.fetch("SELECT ledger, number FROM ledger_head WHERE ledger = ANY($1)", service.ledger.names)
        heads = {row["ledger"]: row["number"] for row in rows}
        at = {ledger: wanted.get(ledger, 0 if wanted else head) for ledger, head in heads.items()}
        for ledger, number in at.items():
            if number > heads[ledger]:
                raise Refusal("position_beyond_head", f"{ledger} ends at {heads[ledger]}", field="at")
        selectors = msgspec.json.encode([_selector(s) for s in query.selectors]).decode()
        bound = (selectors, list(at), list(at.values()))
        totals = await fetch_one(conn, TOTALS, *bound)
        found = await conn.fetch(PAGE, *bound, day, key, query.limit + 1) if query.limit else []
    page = found[: query.limit]
    data = [{name: value for name, value in row.items() if name != "key"} for row in page]
    more = None
    if len(found) > query.limit > 0:
        more = write_cursor(page[-1]["day"], page[-1]["key"])
    body: dict[str, Any] = {
        "data": data,
        "total_quantity": totals["quantity"],
        "total_events": totals["events"],
        "next": more,
        "positions": render(at),
        "as_of": now().isoformat(),
    }
    return respond(body)


def _selector(selector: Selector) -> dict[str, Any]:
    """Return the selector as the statement reads it: no condition is null."""
    plain = selector.model_dump(mode="json")
    for name in ("types", "platforms", "accounts", "forms"):
        plain[name] = plain[name] or None
    return plain
