"""org's own tables: the organisation as it stands (written in the decision's transaction), and the credentials.

Credentials are here and nowhere in the ledger, which only says that they changed.
"""

from __future__ import annotations

ORG_SQL = """
CREATE TABLE unit (
    unit    text PRIMARY KEY,
    kind    text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    parent  text,
    ord     integer NOT NULL DEFAULT 0,
    retired date
);

CREATE TABLE post (
    post    text PRIMARY KEY,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    unit    text
);

CREATE TABLE person (
    person text PRIMARY KEY,
    name   text NOT NULL
);

CREATE TABLE membership (
    person text NOT NULL,
    n      integer NOT NULL,
    unit   text NOT NULL,
    post   text,
    since  date NOT NULL,
    until  date,
    PRIMARY KEY (person, n)
);
CREATE INDEX membership_of_unit ON membership (unit, since);

CREATE TABLE absence (
    person text NOT NULL,
    n      integer NOT NULL,
    since  date NOT NULL,
    until  date NOT NULL,
    kind   text NOT NULL,
    PRIMARY KEY (person, n)
);

CREATE TABLE role_grant (
    person text NOT NULL,
    n      integer NOT NULL,
    role   text NOT NULL,
    unit   text,
    PRIMARY KEY (person, n)
);

CREATE TABLE account (
    platform text NOT NULL,
    handle   text NOT NULL,
    owner    text,
    client   text,
    PRIMARY KEY (platform, handle)
);
CREATE INDEX account_of_owner ON account (owner);

CREATE TABLE account_span (
    platform text NOT NULL,
    handle   text NOT NULL,
    what     text NOT NULL,
    n        integer NOT NULL,
    since    date NOT NULL,
    until    date,
    PRIMARY KEY (platform, handle, what, n)
);

CREATE TABLE publisher (
    publisher text PRIMARY KEY,
    title     text NOT NULL,
    types     text[] NOT NULL,
    sources   text[] NOT NULL,
    contexts  text[] NOT NULL,
    revoked   boolean NOT NULL DEFAULT false
);

CREATE TABLE publisher_token (
    publisher text PRIMARY KEY,
    hash      bytea NOT NULL,
    issued_at timestamptz NOT NULL
);

CREATE TABLE password (
    person text PRIMARY KEY,
    hash   text NOT NULL,
    set_at timestamptz NOT NULL
);

CREATE TABLE private_key (
    key_id     text PRIMARY KEY,
    jwk        text NOT NULL,
    signs_from timestamptz NOT NULL
);
"""
