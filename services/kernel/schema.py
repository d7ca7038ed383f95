"""The kernel's tables, the same in every deciding service's database. Executed by each service's first migration."""

from __future__ import annotations

KERNEL_SQL = """
CREATE SEQUENCE ledger_ref INCREMENT BY 256;

CREATE TABLE ledger_head (
    ledger    text PRIMARY KEY,
    ledger_id text NOT NULL,
    epoch     integer NOT NULL DEFAULT 1,
    number    bigint NOT NULL DEFAULT 0,
    hash      bytea NOT NULL,
    first_seq bigint NOT NULL DEFAULT 1 -- where its stream begins when it is made anew
);

CREATE TABLE ledger_commit (
    ledger   text NOT NULL,
    number   bigint NOT NULL,
    ref      bigint NOT NULL UNIQUE,
    previous bytea NOT NULL,
    hash     bytea NOT NULL,
    events   integer NOT NULL,
    meta     bytea NOT NULL,
    encoding text NOT NULL,
    body     bytea NOT NULL,
    PRIMARY KEY (ledger, number)
);
ALTER TABLE ledger_commit ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE ledger_commit SET (toast_tuple_target = 8160);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'commits are never changed or deleted' USING ERRCODE = 'restrict_violation'; END $$;
CREATE TRIGGER ledger_commit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_commit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE aggregate (
    id      text PRIMARY KEY,
    version integer NOT NULL
);

CREATE TABLE aggregate_event (
    aggregate text NOT NULL,
    version   integer NOT NULL,
    ref       bigint NOT NULL,
    position  integer NOT NULL,
    PRIMARY KEY (aggregate, version)
);

CREATE TABLE command (
    scope        text NOT NULL,
    key          text NOT NULL,
    request_hash text NOT NULL,
    ref          bigint,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX command_at ON command USING brin (at);

CREATE TABLE projection (
    name         text PRIMARY KEY,
    live_version integer NOT NULL,
    next_version integer NOT NULL,
    state        text NOT NULL DEFAULT 'running',
    detail       text
);

CREATE TABLE checkpoint (
    projection text NOT NULL,
    version    integer NOT NULL,
    ledger     text NOT NULL,
    ledger_id  text,
    epoch      integer NOT NULL DEFAULT 1,
    number     bigint NOT NULL DEFAULT 0,
    hash       bytea,
    rests_on   jsonb NOT NULL DEFAULT '{}', -- ledger -> [epoch, number]: the greatest that its commits rested on
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, version, ledger)
) WITH (fillfactor = 50);

CREATE TABLE hold (
    projection text NOT NULL,
    version    integer NOT NULL,
    ledger     text NOT NULL,
    number     bigint NOT NULL,
    position   integer NOT NULL,
    subject    text,
    reason     text NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, version, ledger, number, position)
);

CREATE TABLE todo (
    reaction   text NOT NULL,
    key        text NOT NULL,
    payload    jsonb NOT NULL DEFAULT '{}',
    generation bigint NOT NULL DEFAULT 1,
    due_at     timestamptz NOT NULL DEFAULT now(),
    attempts   integer NOT NULL DEFAULT 0,
    error      text,
    PRIMARY KEY (reaction, key)
);
CREATE INDEX todo_due ON todo (reaction, due_at);

CREATE TABLE signing_key (
    key_id    text PRIMARY KEY,
    jwk       text NOT NULL,
    not_after timestamptz
);

CREATE TABLE revocation (
    principal text PRIMARY KEY,
    before    timestamptz NOT NULL
);
"""
