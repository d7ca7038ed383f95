"""tickets' own tables, beside the ledger's: what decisions look up, the keys, and when time brings something.

Written in the decision's transaction. Nothing here is personal but for the keys, which are in no ledger.
"""

from __future__ import annotations

TICKETS_SQL = """
CREATE SEQUENCE ticket_number;
CREATE SEQUENCE customer_number;
CREATE SEQUENCE visit_number;
CREATE SEQUENCE need_number;
CREATE SEQUENCE case_number;
CREATE SEQUENCE queue_number;

CREATE TABLE customer (
    customer text PRIMARY KEY,
    side     text NOT NULL,
    person   text,
    unit     text,
    erased   boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX customer_of_person ON customer (person) WHERE person IS NOT NULL AND NOT erased;

-- The only place where keys are. Destroying a row erases what it sealed, everywhere.
CREATE TABLE customer_key (
    customer text PRIMARY KEY,
    key      bytea NOT NULL
);

CREATE TABLE service_levels (
    version   integer PRIMARY KEY,
    effective timestamptz NOT NULL,
    document  jsonb NOT NULL
);

-- When time next brings something to a ticket: a warning, a breach, a lapse, the end of a wait, closing.
CREATE TABLE ticket_timer (
    ticket text PRIMARY KEY,
    due_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX ticket_timer_due ON ticket_timer (due_at);
"""
