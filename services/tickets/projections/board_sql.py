"""The tables of the projection "board" and the statements that fill them. No decision here."""

from __future__ import annotations

CREATE = """
CREATE TABLE ticket (
    ticket      text PRIMARY KEY,
    version     integer NOT NULL,     -- of the aggregate: the ETag
    document    jsonb NOT NULL,       -- the ticket as decisions read it
    clocks      jsonb NOT NULL,       -- kind, target, used, since, due_at, warned, breached
    broken      jsonb NOT NULL,       -- clock kind -> instant of its last breach
    state       text NOT NULL,
    kind        text NOT NULL,
    side        text NOT NULL,
    customer    text NOT NULL,
    unit        text NOT NULL,
    project     text,
    channel     text NOT NULL,
    topic       text,
    priority    text NOT NULL,
    assignee    text,
    opened_by   text NOT NULL,
    opened_at   timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    resolved_at timestamptz,
    closed_at   timestamptz,
    reopened    integer NOT NULL,
    due_at      timestamptz           -- the earliest promise, kept or broken, of an open ticket
);
CREATE INDEX ticket_last ON ticket (last_at, ticket);
CREATE INDEX ticket_opened ON ticket (opened_at, ticket);
CREATE INDEX ticket_due ON ticket (due_at, ticket) WHERE due_at IS NOT NULL;
CREATE INDEX ticket_unit ON ticket (unit, last_at, ticket);
CREATE INDEX ticket_customer ON ticket (customer, last_at, ticket);
CREATE INDEX ticket_assignee ON ticket (assignee, last_at, ticket) WHERE assignee IS NOT NULL;
CREATE INDEX ticket_open ON ticket (last_at, ticket) WHERE state IN ('open', 'assigned', 'in_progress', 'waiting');
CREATE TABLE timeline (ticket text NOT NULL, version integer NOT NULL, type text NOT NULL, by text NOT NULL,
    at timestamptz NOT NULL, data jsonb NOT NULL, PRIMARY KEY (ticket, version));
CREATE TABLE plaintext (customer text NOT NULL, ticket text NOT NULL, version integer NOT NULL, n integer,
    title text, text text, attachments jsonb NOT NULL, folded text NOT NULL, parts text[] NOT NULL,
    PRIMARY KEY (ticket, version));
CREATE INDEX plaintext_customer ON plaintext (customer);
CREATE INDEX plaintext_parts ON plaintext USING gin (parts);
CREATE TABLE customer_plaintext (customer text PRIMARY KEY, version integer NOT NULL, name text NOT NULL,
    company text, folded text NOT NULL, parts text[] NOT NULL);
CREATE INDEX customer_plaintext_parts ON customer_plaintext USING gin (parts);
CREATE TABLE levels (version integer PRIMARY KEY, document jsonb NOT NULL);
"""
COLUMNS = (
    "ticket", "version", "document", "clocks", "broken", "state", "kind", "side", "customer", "unit", "project",
    "channel", "topic", "priority", "assignee", "opened_by", "opened_at", "last_at", "resolved_at", "closed_at",
    "reopened", "due_at",
)  # fmt: skip
_JSON = {"document", "clocks", "broken"}
_VALUES = ", ".join(f"${i}::text::jsonb" if name in _JSON else f"${i}" for i, name in enumerate(COLUMNS, 1))
_SET = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
TICKET = f"INSERT INTO ticket ({', '.join(COLUMNS)}) VALUES ({_VALUES}) ON CONFLICT (ticket) DO UPDATE SET {_SET}"
TIMELINE = "INSERT INTO timeline VALUES ($1, $2, $3, $4, $5, $6::text::jsonb) ON CONFLICT DO NOTHING"
PLAINTEXT = "INSERT INTO plaintext VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9) ON CONFLICT DO NOTHING"
CUSTOMER = """
INSERT INTO customer_plaintext AS c VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (customer) DO UPDATE SET version = excluded.version, name = excluded.name, company = excluded.company,
    folded = excluded.folded, parts = excluded.parts WHERE c.version < excluded.version
"""
LEVELS = "INSERT INTO levels VALUES ($1, $2::text::jsonb) ON CONFLICT DO NOTHING"
