"""Activity's own tables. One table `activity` is identity and evidence in one, across shards; its primary key is what
guarantees that an event counts once. The refs are ledger_commit.ref: known before a commit has its number."""

from __future__ import annotations

ACTIVITY_SQL = """
CREATE TABLE activity (
    key          bytea PRIMARY KEY,
    content      bytea,
    state        smallint NOT NULL,
    shard        smallint NOT NULL,
    recorded_ref bigint,
    voided_ref   bigint,
    held_ref     bigint,
    source       text NOT NULL,
    id           text NOT NULL,
    type         text NOT NULL,
    subject      text NOT NULL,
    day          date,
    at           timestamptz,
    platform     text NOT NULL,
    account      text,
    quantity     bigint NOT NULL,
    on_topic     boolean NOT NULL,
    form         text,
    counterpart  text,
    campaign     text,
    project      text,
    title        text,
    publisher    text NOT NULL
);
CREATE INDEX activity_person_day ON activity (subject, day);

CREATE TABLE void_waiting (
    target_key  bytea PRIMARY KEY,
    source      text NOT NULL,
    id          text NOT NULL,
    reason      text NOT NULL,
    by          text NOT NULL,
    void_source text NOT NULL,
    void_id     text NOT NULL
);

CREATE TABLE activity_hold (
    key        bytea PRIMARY KEY,
    event      bytea NOT NULL,
    content    bytea NOT NULL,
    publisher  text NOT NULL,
    message    text,
    held_since timestamptz NOT NULL
);

CREATE TABLE activity_hold_reason (
    key       bytea NOT NULL REFERENCES activity_hold ON DELETE CASCADE,
    waits_for text NOT NULL,
    code      text NOT NULL,
    name      text NOT NULL,
    PRIMARY KEY (key, waits_for, code)
);
CREATE INDEX activity_hold_waits_for ON activity_hold_reason (waits_for);

CREATE TABLE quarantine (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         bytea,
    source      text,
    id          text,
    publisher   text NOT NULL,
    code        text NOT NULL,
    field       text,
    detail      text NOT NULL,
    remedy      text,
    original    bytea NOT NULL,
    cut         boolean NOT NULL DEFAULT false,
    message     text,
    received_at timestamptz NOT NULL,
    state       text NOT NULL DEFAULT 'open',
    settled_by  text,
    settled_at  timestamptz
);
CREATE INDEX quarantine_key ON quarantine (key);
CREATE INDEX quarantine_publisher ON quarantine (publisher, number);

CREATE TABLE catalogue (
    name                  text PRIMARY KEY,
    place                 integer NOT NULL,
    row                   text NOT NULL,
    needs                 text[] NOT NULL,
    name_zh               text NOT NULL,
    name_en               text NOT NULL,
    default_platform      text,
    account_must_be_known boolean NOT NULL,
    retired               boolean NOT NULL,
    version               integer NOT NULL
);
"""
