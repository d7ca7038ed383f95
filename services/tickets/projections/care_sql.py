"""The tables of the projection "care", and what each event writes into them. No decision, no plaintext here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from contracts.tickets import (
    TicketClassified,
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketResolved,
)
from services.kernel.database import Connection

CREATE = """
CREATE TABLE project (project text PRIMARY KEY, name_zh text NOT NULL, name_en text NOT NULL, unit text,
    retired boolean NOT NULL, version integer NOT NULL);
CREATE TABLE topic (topic text PRIMARY KEY, name_zh text NOT NULL, name_en text NOT NULL, parent text,
    place integer NOT NULL, retired boolean NOT NULL, version integer NOT NULL);
CREATE TABLE visit_rule (rule text PRIMARY KEY, trigger text NOT NULL, days integer NOT NULL, project text,
    customers text[] NOT NULL, unit text NOT NULL, person text, since date NOT NULL, ended boolean NOT NULL,
    at timestamptz NOT NULL, version integer NOT NULL);
CREATE TABLE visit (visit text PRIMARY KEY, customer text NOT NULL, project text, ticket text, rule text,
    due date NOT NULL, unit text NOT NULL, person text, state text NOT NULL DEFAULT 'planned', cause text,
    satisfaction integer, late boolean, scheduled_by text NOT NULL, scheduled_at timestamptz NOT NULL,
    missed_at timestamptz, ended_by text, ended_at timestamptz, version integer NOT NULL);
CREATE INDEX visit_due ON visit (due, visit);
CREATE INDEX visit_open ON visit (due) WHERE state = 'planned';
CREATE INDEX visit_of_rule ON visit (rule, customer, project, due) WHERE rule IS NOT NULL;
CREATE INDEX visit_of_ticket ON visit (ticket) WHERE ticket IS NOT NULL;
CREATE INDEX visit_of_customer ON visit (customer);
CREATE TABLE need (need text PRIMARY KEY, customer text NOT NULL, ticket text, visit text, project text,
    tags text[] NOT NULL, unit text NOT NULL, state text NOT NULL DEFAULT 'collected', handed_to text,
    collected_by text NOT NULL, collected_at timestamptz NOT NULL, handed_at timestamptz, decided_by text,
    decided_at timestamptz, version integer NOT NULL);
CREATE INDEX need_collected ON need (collected_at, need);
CREATE INDEX need_tags ON need USING gin (tags);
CREATE TABLE concentration (case_id text PRIMARY KEY, topic text NOT NULL, project text, month text NOT NULL,
    count integer NOT NULL, expected text NOT NULL, control_limit integer NOT NULL, months integer NOT NULL,
    raised_at timestamptz NOT NULL, state text NOT NULL DEFAULT 'raised', unit text, person text,
    guidance text NOT NULL DEFAULT '', coordinated_at timestamptz, outcome text, findings text NOT NULL DEFAULT '',
    ended_by text, ended_at timestamptz, version integer NOT NULL);
CREATE TABLE complaint_report (unit text NOT NULL, month text NOT NULL, complaints integer NOT NULL,
    remarks text NOT NULL, due timestamptz NOT NULL, in_time boolean NOT NULL, submitted_by text NOT NULL,
    submitted_at timestamptz NOT NULL, version integer NOT NULL, PRIMARY KEY (unit, month));
CREATE TABLE saved_queue (queue text PRIMARY KEY, name text NOT NULL, owner text NOT NULL, unit text,
    query jsonb NOT NULL, deleted boolean NOT NULL, version integer NOT NULL);
CREATE TABLE gone (customer text PRIMARY KEY, at timestamptz NOT NULL, version integer NOT NULL);
CREATE TABLE care_plaintext (customer text NOT NULL, subject text NOT NULL, part text NOT NULL, n integer NOT NULL,
    content jsonb NOT NULL, PRIMARY KEY (subject, n));
CREATE INDEX care_plaintext_customer ON care_plaintext (customer);
CREATE TABLE care_ticket (ticket text PRIMARY KEY, customer text NOT NULL, resolved_kind text,
    resolved_project text, resolution integer, resolved_at timestamptz);
CREATE INDEX care_ticket_resolved ON care_ticket (resolved_at)
    WHERE resolved_at IS NOT NULL AND resolved_kind = 'complaint';
CREATE TABLE project_customer (project text NOT NULL, customer text NOT NULL, since timestamptz NOT NULL,
    PRIMARY KEY (project, customer));
"""

Values = Callable[[Any], tuple[Any, ...]]

# Each statement's last parameter is the version of the event's aggregate.
STATEMENTS: dict[str, tuple[str, Values]] = {
    "tickets.project_defined.v1": (
        "INSERT INTO project VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project) DO UPDATE SET name_zh = $2,"
        " name_en = $3, unit = $4, retired = $5, version = $6",
        lambda e: (e.project, e.name_zh, e.name_en, e.unit, e.retired),
    ),
    "tickets.topic_defined.v1": (
        "INSERT INTO topic VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (topic) DO UPDATE SET name_zh = $2,"
        " name_en = $3, parent = $4, place = $5, retired = $6, version = $7",
        lambda e: (e.topic, e.name_zh, e.name_en, e.parent, e.order, e.retired),
    ),
    "tickets.visit_rule_defined.v1": (
        "INSERT INTO visit_rule VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (rule) DO UPDATE SET"
        " trigger = $2, days = $3, project = $4, customers = $5, unit = $6, person = $7, since = $8, ended = $9,"
        " at = $10, version = $11",
        lambda e: (
            e.rule,
            e.trigger,
            e.days,
            e.project,
            e.customers,
            e.unit,
            e.person,
            e.since,
            e.ended,
            e.at,
        ),
    ),
    "tickets.visit_scheduled.v1": (
        "INSERT INTO visit (visit, customer, project, ticket, rule, due, unit, person, scheduled_by, scheduled_at,"
        " version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        lambda e: (e.visit, e.customer, e.project, e.ticket, e.rule, e.due, e.unit, e.person, e.by, e.at),
    ),
    "tickets.visit_assigned.v1": (
        "UPDATE visit SET person = $2, version = $3 WHERE visit = $1",
        lambda e: (e.visit, e.person),
    ),
    "tickets.visit_done.v1": (
        "UPDATE visit SET state = 'done', satisfaction = $2, late = $3, ended_by = $4, ended_at = $5, version = $6"
        " WHERE visit = $1",
        lambda e: (e.visit, e.satisfaction, e.late, e.by, e.at),
    ),
    "tickets.visit_missed.v1": (
        "UPDATE visit SET state = 'missed', missed_at = $2, version = $3 WHERE visit = $1",
        lambda e: (e.visit, e.at),
    ),
    "tickets.visit_cancelled.v1": (
        "UPDATE visit SET state = 'cancelled', cause = $2, ended_by = $3, ended_at = $4, version = $5 WHERE visit = $1",
        lambda e: (e.visit, e.cause, e.by, e.at),
    ),
    "tickets.need_collected.v1": (
        "INSERT INTO need (need, customer, ticket, visit, project, tags, unit, collected_by, collected_at, version)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        lambda e: (e.need, e.customer, e.ticket, e.visit, e.project, e.tags, e.unit, e.by, e.at),
    ),
    "tickets.need_tagged.v1": (
        "UPDATE need SET tags = $2, version = $3 WHERE need = $1",
        lambda e: (e.need, e.tags),
    ),
    "tickets.need_handed_over.v1": (
        "UPDATE need SET state = 'handed_over', handed_to = $2, handed_at = $3, version = $4 WHERE need = $1",
        lambda e: (e.need, e.to, e.at),
    ),
    "tickets.need_decided.v1": (
        "UPDATE need SET state = $2, decided_by = $3, decided_at = $4, version = $5 WHERE need = $1",
        lambda e: (e.need, e.outcome, e.by, e.at),
    ),
    "tickets.concentration_raised.v1": (
        "INSERT INTO concentration (case_id, topic, project, month, count, expected, control_limit, months, unit,"
        " raised_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        lambda e: (e.case, e.topic, e.project, e.month, e.count, e.expected, e.limit, e.months, e.unit, e.at),
    ),
    "tickets.case_coordinated.v1": (
        "UPDATE concentration SET state = 'coordinated', person = $2, unit = $3, guidance = $4, coordinated_at = $5,"
        " version = $6 WHERE case_id = $1",
        lambda e: (e.case, e.person, e.unit, e.guidance, e.at),
    ),
    "tickets.case_ended.v1": (
        "UPDATE concentration SET state = 'ended', outcome = $2, findings = $3, ended_by = $4, ended_at = $5,"
        " version = $6 WHERE case_id = $1",
        lambda e: (e.case, e.outcome, e.findings, e.by, e.at),
    ),
    "tickets.complaint_report_submitted.v1": (
        "INSERT INTO complaint_report VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        lambda e: (e.unit, e.month, e.complaints, e.remarks, e.due, e.in_time, e.by, e.at),
    ),
    "tickets.queue_saved.v1": (
        "INSERT INTO saved_queue VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, $7) ON CONFLICT (queue) DO UPDATE SET"
        " name = $2, owner = $3, unit = $4, query = $5::text::jsonb, deleted = $6, version = $7",
        lambda e: (e.queue, e.name, e.owner, e.unit, json.dumps(e.query), e.deleted),
    ),
    "tickets.customer_erased.v1": (
        "WITH erased AS (DELETE FROM care_plaintext WHERE customer = $1)"
        " INSERT INTO gone VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        lambda e: (e.customer, e.at),
    ),
}

_OPENED = """
INSERT INTO care_ticket (ticket, customer) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING
"""
_RESOLVED = """
UPDATE care_ticket t SET resolved_kind = n.kind, resolved_project = n.project, resolution = n.resolution,
    resolved_at = n.at
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
    AS n (ticket, kind, project, resolution, at) WHERE t.ticket = n.ticket
"""
_BELONGS = """
INSERT INTO project_customer AS p (project, customer, since)
SELECT n.project, t.customer, min(n.at)
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS n (ticket, project, at)
JOIN care_ticket t USING (ticket) GROUP BY 1, 2
ON CONFLICT (project, customer) DO UPDATE SET since = least(p.since, excluded.since)
"""


async def ticket_rows(conn: Connection, events: Sequence[BaseModel]) -> None:
    """Fold tickets' events, in their order, into who belongs to a project and which complaint stands resolved."""
    opened: dict[str, tuple[Any, ...]] = {}
    resolved: dict[str, tuple[Any, ...]] = {}
    belongs: list[tuple[str, str, datetime]] = []
    for e in events:
        match e:
            case TicketOpened():
                opened[e.ticket] = (e.ticket, e.customer)
            case TicketResolved():
                resolved[e.ticket] = (e.ticket, e.kind, e.project, e.resolution, e.at)
            case TicketReopened() | TicketMerged():
                resolved[e.ticket] = (e.ticket, None, None, None, None)
        if isinstance(e, TicketOpened | TicketClassified) and e.project is not None:
            belongs.append((e.ticket, e.project, e.at))
    for statement, rows in ((_OPENED, opened), (_RESOLVED, resolved)):  # opened ones first: the others change them
        if rows:
            await conn.execute(statement, *map(list, zip(*rows.values(), strict=True)))
    if belongs:
        await conn.execute(_BELONGS, *map(list, zip(*belongs, strict=True)))
