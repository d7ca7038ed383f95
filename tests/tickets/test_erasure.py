"""Erasing a customer: what it said and who it was is nowhere any more; log, hashes and numbers stay whole."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import Any

import pytest

from services.kernel.archive import append_foreign, read_commits
from services.kernel.broker import connect
from services.kernel.codec import decode_body
from services.kernel.database import Database
from services.kernel.ledger import Ledger, Work
from services.kernel.migrate import migrate
from services.kernel.read_models_api import RebuildOptions
from services.tickets.app import create
from services.tickets.store import restore
from tests.conftest import sql
from tests.eventually import eventually
from tests.tickets.desk import AUDITOR, DIRECTOR, HEAD, Desk, running, service, settings_for

MARK = "机密标记甲"  # in everything that the erased customer said or is called
COLUMNS = """
SELECT c.table_schema, c.table_name, c.column_name, c.data_type FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')
"""


async def places_of(db: Database, text: str) -> set[str]:
    """Every table.column of the database, bytes and stored commits included, in which a text can be read."""
    found = set()
    async with db.conn() as conn:
        for schema, table, column, kind in await conn.fetch(COLUMNS):
            readable = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
            escaped = "".join(f"\\{byte:03o}" for byte in text.encode()) if kind == "bytea" else text
            query = f'SELECT count(*) FROM "{schema}"."{table}" WHERE position($1 IN {readable}) > 0'
            if await conn.fetchval(query, escaped):
                found.add(f"{schema}.{table}.{column}")
        for body, encoding in await conn.fetch("SELECT body, encoding FROM ledger_commit"):
            if text in decode_body(body, encoding).decode():
                found.add("public.ledger_commit.body")
    return found


async def folded(desk: Desk) -> None:
    """Wait until every read model holds the ledger."""
    head = (await desk.tickets.committer.ledger.heads())["tickets"]
    projectors = desk.app.state.projectors.values()
    await eventually(lambda: all(p.applied.get("tickets", head) >= head for p in projectors))


async def story(desk: Desk) -> tuple[str, str]:
    """A customer whose every word carries the mark, with a ticket and a return visit's need."""
    customer = await desk.customer(f"{MARK}先生")
    ticket = await desk.ticket(customer, title=MARK, text=f"我叫{MARK}")
    path = f"/v1/tickets/{ticket}"
    await desk.do("POST", f"{path}/replies", {"text": f"您好, {MARK}"})
    await desk.do("POST", f"{path}/messages", {"text": f"{MARK}?"})
    await desk.do("POST", f"{path}/notes", {"text": f"{MARK} 打过电话"})
    await desk.do("POST", f"{path}/resolution", {"outcome": "solved", "text": MARK})
    await desk.do("POST", f"{path}/satisfaction", {"score": 2, "text": MARK})
    return customer, ticket


async def test_after_an_erasure_no_table_holds_what_the_customer_said(desk: Desk) -> None:
    customer, ticket = await story(desk)
    other = await desk.ticket(await desk.customer("乙女士"), text="另一个客户的话")
    await folded(desk)
    readable = await places_of(desk.db, MARK)
    assert {place.rpartition(".")[0].partition("_1.")[2] for place in readable} == {"plaintext", "customer_plaintext"}
    before = await desk.events(ticket)
    assert await desk.refused("POST", f"/v1/customers/{customer}/erasure", {}, HEAD) == (403, "not_allowed")
    done = await desk.do("POST", f"/v1/customers/{customer}/erasure", {"cause": "asked_by_customer"}, DIRECTOR)
    assert done["changed"]
    assert await places_of(desk.db, MARK) == set()
    await folded(desk)
    assert await places_of(desk.db, MARK) == set()
    assert await desk.events(ticket) == before  # the log is whole
    assert (await desk.get(f"/v1/customers/{customer}")).json()["data"]["profile"] is None
    await desk.do("POST", f"/v1/tickets/{other}/notes", {"text": "goes on"})


async def test_an_erased_customer_is_gone_for_good_and_its_ticket_goes_on_without_words(desk: Desk) -> None:
    customer, ticket = await story(desk)
    path = f"/v1/customers/{customer}"
    first = await desk.do("POST", f"{path}/erasure", {}, DIRECTOR, key="e")
    assert not (await desk.do("POST", f"{path}/erasure", {}, DIRECTOR))["changed"]
    assert (await desk.do("POST", f"{path}/erasure", {}, DIRECTOR, key="e"))["positions"] == first["positions"]
    assert await desk.refused("PUT", path, {"name": "again"}) == (410, "customer_erased")
    assert await desk.refused("POST", f"/v1/tickets/{ticket}/notes", {"text": "x"}) == (410, "customer_erased")
    opening = {"kind": "inquiry", "customer": customer, "unit": "service-desk", "channel": "web", "text": "x"}
    assert await desk.refused("POST", "/v1/tickets", opening) == (410, "customer_erased")
    await desk.do("POST", f"/v1/tickets/{ticket}/closing")


async def test_erasures_beside_writing_and_reading_leave_nothing(desk: Desk) -> None:
    """Read models are folding what an erasure takes away at the same moment: the key's lock puts one first."""
    pairs = [await story(desk) for _ in range(4)]

    async def write(ticket: str) -> None:
        for n in range(10):
            await desk.call("POST", f"/v1/tickets/{ticket}/notes", body={"text": f"{MARK} {n}"})

    erasing = [desk.do("POST", f"/v1/customers/{customer}/erasure", {}, DIRECTOR) for customer, _ in pairs]
    await asyncio.gather(*(write(ticket) for _, ticket in pairs), *erasing)
    await folded(desk)
    assert await places_of(desk.db, MARK) == set()


async def test_a_rebuilt_read_model_lacks_what_was_erased(desk: Desk) -> None:
    customer, _ = await story(desk)
    await folded(desk)
    await desk.do("POST", f"/v1/customers/{customer}/erasure", {}, DIRECTOR)
    models = desk.app.state.read_models
    for name in desk.app.state.projectors:
        job = models.begin(name, RebuildOptions(accept=True))
        await eventually(lambda job=job: job["state"] != "running", timeout=20)
        assert job["state"] == "done", job
    assert await places_of(desk.db, MARK) == set()


async def test_no_stream_ever_held_it_readable(desk: Desk, nats_server: Any) -> None:
    customer, _ = await story(desk)
    await folded(desk)
    nc = await connect(nats_server.url, "admin", nats_server.users["admin"], name="test")
    js = nc.jetstream()
    for info in await js.streams_info():
        state = info.state
        for sequence in range(max(1, state.first_seq), state.last_seq + 1):
            message = await js.get_msg(info.config.name or "", sequence)
            assert MARK.encode() not in (message.data or b"")
    await nc.close()
    assert customer


@pytest.fixture
def second_database(postgres: Any) -> Any:
    name, password = f"t_{secrets.token_hex(6)}", secrets.token_hex(12)
    sql(postgres.dsn(), f"CREATE ROLE {name} LOGIN PASSWORD '{password}'", f"CREATE DATABASE {name} OWNER {name}")
    yield postgres.dsn(name, name, password)
    sql(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


async def test_a_restored_key_is_destroyed_by_the_erasure_that_comes_back_after_it(
    desk: Desk, second_database: str
) -> None:
    """A database of before the erasure, keys and all, catches up with the ledger: it is carried out again."""
    customer, ticket = await story(desk)
    ledger = desk.tickets.committer.ledger
    before = (await ledger.heads())["tickets"]
    async with desk.db.conn() as conn:
        keys = await conn.fetch("SELECT customer, key FROM customer_key")
    await desk.do("POST", f"/v1/customers/{customer}/erasure", {}, DIRECTOR)
    await desk.do("POST", f"/v1/tickets/{ticket}/closing")
    commits = await read_commits(desk.db, "tickets", 0, 1000)
    await migrate(second_database, "tickets")
    other = await Database.open(second_database, size=2)
    copy = Ledger(other, "tickets")
    await copy.open()
    await append_foreign(copy, "tickets", commits[:before], restore)
    async with other.tx() as conn:
        await conn.executemany("INSERT INTO customer_key VALUES ($1, $2)", [tuple(row) for row in keys])
    await append_foreign(copy, "tickets", commits[before:], restore)
    async with other.conn() as conn:
        assert await conn.fetchval("SELECT count(*) FROM customer_key WHERE customer = $1", customer) == 0
        assert await conn.fetchval("SELECT erased FROM customer WHERE customer = $1", customer)
        assert await conn.fetchval("SELECT count(*) FROM ticket_timer") == 1
        events, version = await Work(copy, conn).load(f"ticket:{ticket}")
        assert (events[-1].type, version) == ("tickets.ticket_closed.v1", len(events))
        assert await conn.fetchval("SELECT nextval('ticket_number')") > int(ticket[1:])
    await other.close()


async def test_the_chain_still_verifies_after_an_erasure(desk: Desk) -> None:
    customer, _ = await story(desk)
    await desk.do("POST", f"/v1/customers/{customer}/erasure", {}, DIRECTOR)
    commits = await read_commits(desk.db, "tickets", 0, 1000)
    assert all(commit.is_intact() for commit in commits)
    for one, other in itertools.pairwise(commits):
        assert other.previous == one.hash
    page = await desk.get("/v1/ledger", AUDITOR, ledger="tickets")
    assert page.status_code == 200
    assert MARK not in page.text


async def test_an_older_database_does_not_serve_what_was_erased_since(
    database: str, nats_server: Any, postgres: Any
) -> None:
    """A backup of before the erasure: its key and plaintext are gone before the first request, lost tail or not."""
    async with running(database, nats_server) as desk:
        customer, ticket = await story(desk)
        await folded(desk)
    name = database.rpartition("/")[2]
    owner = f"{name}_old"
    sql(postgres.dsn(), f"CREATE DATABASE {owner} TEMPLATE {name} OWNER {name}")
    older = database.rpartition("/")[0] + f"/{owner}"
    try:
        async with service(database, nats_server) as (app, client):
            desk = Desk(app.state.tickets.db, app.state.tickets.committer, app, client)
            await desk.do("POST", f"/v1/customers/{customer}/erasure", {}, DIRECTOR)
            await desk.do("POST", f"/v1/tickets/{ticket}/closing")
            heads = await app.state.ledger.heads()
            await eventually(lambda: app.state.projectors["board"].applied.get("tickets", 0) >= heads["tickets"])
        db = await Database.open(older, size=1)
        assert await places_of(db, MARK)
        app = create(settings_for(older, nats_server))
        async with app.router.lifespan_context(app):
            assert await places_of(db, MARK) == set()
        await db.close()
    finally:
        sql(postgres.dsn(), f"DROP DATABASE {owner} WITH (FORCE)")
