"""Intake's own tables: which events came in already, and which customer a publisher means by its reference.

Nothing here can be read back: contents and references are keyed digests, and what concerns a customer goes with its
key. The identities come back by a restore; references do not, they are in no ledger.
"""

from __future__ import annotations

INTAKE_SQL = """
-- One key an instance; whoever has it can only try guesses.
CREATE TABLE intake_secret (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    secret bytea NOT NULL
);
INSERT INTO intake_secret (secret)
SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- (source, id) counts once. `content` NULL: erased, or restored; any content is then the same.
CREATE TABLE ticket_intake (
    key      bytea PRIMARY KEY,
    content  bytea,
    ticket   text,
    version  integer,
    customer text
);
CREATE INDEX ticket_intake_customer ON ticket_intake (customer);

CREATE TABLE customer_ref (
    digest   bytea PRIMARY KEY,
    customer text NOT NULL
);
CREATE INDEX customer_ref_customer ON customer_ref (customer);
"""
