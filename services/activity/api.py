"""Reads: activity search, holds, the catalogue. Every answer is cut to what the asking role reaches."""

from __future__ import annotations

import base64
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from contracts.activity import ActivityTypeDefined
from services.activity.api_events import service_of
from services.activity.facts import HELD, RECORDED, VOIDED
from services.activity.scope import people_in_reach
from services.kernel.auth import Access, allow
from services.kernel.clock import now
from services.kernel.errors import Refusal
from services.kernel.positions import parse
from services.kernel.projection import wait_for
from services.kernel.web import IfMatch, envelope, etag, expected_version

router = APIRouter(tags=["activities"])

PAGE = 500

FIELDS = """a.source, a.id, a.type, a.subject, a.at, a.day, a.platform, a.account, a.quantity, a.on_topic, a.form,
    a.counterpart, a.campaign, a.project, a.title, a.publisher, a.state, a.key, a.recorded_ref, a.voided_ref"""

# One index walk a person and no more than a page of rows from each: the cost does not grow with the table.
SEARCH = f"""
SELECT s.*, r.ledger || ':' || r.number AS commit, v.ledger || ':' || v.number AS voided
FROM (
    SELECT page.* FROM unnest($1::text[]) AS p (person) CROSS JOIN LATERAL (
        SELECT {FIELDS} FROM activity a
        WHERE a.subject = p.person AND a.day >= $2 AND a.day <= $3 AND a.state = ANY($4)
          AND ($5::text[] IS NULL OR a.type = ANY($5)) AND ($6::text IS NULL OR a.platform = $6)
          AND ($7::text IS NULL OR a.title ILIKE $7)
          AND ($8::date IS NULL OR (a.day, a.key) < ($8, $9::bytea))
        ORDER BY a.day DESC, a.key DESC LIMIT $10
    ) AS page ORDER BY page.day DESC, page.key DESC LIMIT $10
) AS s
LEFT JOIN ledger_commit r ON r.ref = s.recorded_ref
LEFT JOIN ledger_commit v ON v.ref = s.voided_ref
ORDER BY s.day DESC, s.key DESC
"""
STATES = {"recorded": [RECORDED], "voided": [VOIDED], "held": [HELD], "all": [RECORDED, VOIDED, HELD]}
NAMES = {RECORDED: "recorded", VOIDED: "voided", HELD: "held"}


@router.get("/v1/activities", summary="Search activities by person, type, platform, days and text of the title")
async def activities(
    request: Request,
    access: Access = allow("evidence.read"),
    person: str | None = None,
    kind: Annotated[list[str] | None, Query(alias="type")] = None,
    platform: str | None = None,
    since: date = date(1, 1, 1),
    until: date = date(9999, 12, 31),
    q: Annotated[str | None, Query(description="Text of the title", max_length=200)] = None,
    state: str = "recorded",
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
    cursor: str | None = None,
    at_least: str | None = None,
) -> Response:
    service = service_of(request)
    await _reached(request, at_least)
    if state not in STATES:
        raise Refusal("bad_state", f"state is one of {', '.join(STATES)}", status=422, field="state")
    reach = await people_in_reach(service.db, access, service.today())
    if person is not None and reach is not None and person not in reach:
        raise access.refuse(f"activities of {person}")
    day, key = read_cursor(cursor)
    text = f"%{_escaped(q)}%" if q else None
    async with service.db.tx("repeatable_read", readonly=True) as conn:
        heads = await conn.fetch("SELECT ledger, number FROM public.ledger_head ORDER BY ledger")
        people = [person] if person is not None else sorted(reach) if reach is not None else None
        if people is None:
            people = [row[0] for row in await conn.fetch("SELECT person FROM " + await _schema(conn) + ".person")]
        rows = await conn.fetch(SEARCH, people, since, until, STATES[state], kind, platform, text, day, key, limit + 1)
    data = [_shown(row) for row in rows[:limit]]
    more = write_cursor(rows[limit - 1]["day"], rows[limit - 1]["key"]) if len(rows) > limit else None
    positions = {row["ledger"]: row["number"] for row in heads if row["ledger"].startswith("activity")}
    return respond(envelope(data, positions, now(), next=more))


@router.get("/v1/holds", summary="Held events with age and reasons, oldest first")
async def holds(
    request: Request,
    access: Access = allow("holds.read"),
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
) -> Response:
    service = service_of(request)
    publisher = access.principal.sub if access.principal.kind == "publisher" else None
    since, key = _held_cursor(after)
    moment = now()
    async with service.db.conn() as conn:
        rows = await conn.fetch(
            "SELECT a.source, a.id, a.type, a.subject, a.day, a.at, a.publisher, h.held_since, h.key,"
            " (SELECT json_agg(json_build_object('code', r.code, 'key', r.name)) FROM activity_hold_reason r"
            "  WHERE r.key = h.key) AS reasons"
            " FROM activity_hold h JOIN activity a USING (key)"
            " WHERE ($1::text IS NULL OR a.publisher = $1)"
            " AND ($2::timestamptz IS NULL OR (h.held_since, h.key) > ($2, $3::bytea))"
            " ORDER BY h.held_since, h.key LIMIT $4",
            publisher, since, key, limit + 1,
        )  # fmt: skip
    data = [
        {
            **{name: row[name] for name in ("source", "id", "type", "subject", "day", "publisher", "held_since")},
            "time": row["at"],
            "age_seconds": int((moment - row["held_since"]).total_seconds()),
            "reasons": msgspec.json.decode(row["reasons"] or "[]"),
        }
        for row in rows[:limit]
    ]
    last = rows[limit - 1] if len(rows) > limit else None
    more = f"{last['held_since'].isoformat()}|{last['key'].hex()}" if last is not None else None
    return respond(envelope(data, await service.ledger.heads(), moment, next=more))


@router.get("/v1/catalogue", summary="The activity types, their needs and names")
async def catalogue(request: Request, access: Access = allow("catalogue.read")) -> Response:
    service = service_of(request)
    async with service.db.conn() as conn:
        rows = await conn.fetch("SELECT * FROM catalogue ORDER BY place")
    data = [{name: value for name, value in row.items() if name != "place"} for row in rows]
    return respond(envelope(data, await service.ledger.heads(), now()))


@router.put("/v1/catalogue/{name}", summary="Add or change an activity type; its name and needs are data")
async def define_type(
    request: Request,
    response: Response,
    name: str,
    entry: ActivityTypeDefined,
    access: Access = allow("catalogue.write"),
    if_match: IfMatch = None,
) -> dict[str, Any]:
    if entry.name != name:
        raise Refusal("name_differs", "the type's name is not the path's", status=422, field="name")
    service = service_of(request)
    done = await service.catalogue.define(
        service.committer, entry, principal=access.principal.id, expected=expected_version(if_match)
    )
    etag(response, done.value)
    return {"name": name, "version": done.value, "commit": ",".join(f"{n}:{i}" for n, i in done.positions.items())}


def respond(body: Any) -> Response:
    """Return a JSON answer with its position in the headers, too."""
    headers = {"Opsledger-Position": body["positions"], "Opsledger-As-Of": body["as_of"]}
    return Response(msgspec.json.encode(body), media_type="application/json", headers=headers)


async def _reached(request: Request, at_least: str | None) -> None:
    """Lines are written with their commit: a position of this service is either here or does not exist."""
    service = service_of(request)
    wanted = parse(at_least)
    if wanted:
        heads = await service.ledger.heads()
        for ledger, number in wanted.items():
            if ledger in heads and number > heads[ledger]:
                raise Refusal("position_beyond_head", f"{ledger} ends at {heads[ledger]}", field="at_least")
        await wait_for(service.db, ["identities"], {k: n for k, n in wanted.items() if k == "org"})


async def _schema(conn: Any) -> str:
    version = await conn.fetchval("SELECT live_version FROM projection WHERE name = 'identities'")
    return f"p_identities_{int(version or 1)}"


def _shown(row: Any) -> dict[str, Any]:
    hidden = ("key", "state", "at", "recorded_ref", "voided_ref")
    shown = {name: value for name, value in row.items() if name not in hidden}
    return {**shown, "time": row["at"], "state": NAMES[row["state"]]}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def write_cursor(day: date, key: bytes) -> str:
    return base64.urlsafe_b64encode(day.isoformat().encode() + key).decode()


def read_cursor(cursor: str | None) -> tuple[date | None, bytes | None]:
    """Return (day, key) to go on after. Refusal 400 for what is no cursor of ours."""
    if cursor is None:
        return None, None
    try:
        raw = base64.urlsafe_b64decode(cursor)
        return date.fromisoformat(raw[:10].decode()), raw[10:]
    except ValueError as error:
        raise Refusal("bad_cursor", "not a cursor of this list", field="cursor") from error


def _held_cursor(after: str | None) -> tuple[Any, bytes | None]:
    if after is None:
        return None, None
    try:
        moment, _, key = after.partition("|")
        return datetime.fromisoformat(moment), bytes.fromhex(key)
    except ValueError as error:
        raise Refusal("bad_cursor", "not a cursor of this list", field="after") from error
