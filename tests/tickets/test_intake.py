"""Intake of tickets: over HTTP, requests and the inbox, into one function; each event counts once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import contracts
from services.kernel.archive import read_commits
from services.tickets import intake_rows
from services.tickets.wire import Candidate, read_event
from tests.eventually import eventually
from tests.tickets.desk import DIRECTOR, MEMBER, Desk
from tests.tickets.shop import SENTENCE, message, opened, post, publisher, send


async def test_an_event_opens_a_ticket_and_a_message_follows_it(shop: Desk) -> None:
    answer = await post(shop, opened(), message())
    first, second = answer.json()["results"]
    assert (first["outcome"], second["outcome"]) == ("recorded", "recorded")
    assert first["subject"] == second["subject"]
    assert answer.json()["position"] == second["commit"] == answer.headers["Opsledger-Position"]
    events = await shop.events(first["subject"])
    assert [name for name, _ in events] == ["ticket_opened", "message_received"]
    said = events[0][1]
    assert (said["unit"], said["by"], said["at"]) == ("service-desk", "publisher:shop", "2026-10-17T00:30:00Z")
    assert said["origin"] == {"source": "shop", "id": "o1"}

    async def profile() -> Any:  # read by the unit as soon as it is known there that the ticket is its own
        return (await shop.get(f"/v1/customers/{said['customer']}")).json()["data"]["profile"]

    assert await eventually(profile) == {"name": "李雷"}


async def test_what_was_sent_stands_nowhere_but_in_the_seals(shop: Desk) -> None:
    await send(shop, opened(customer={"ref": "buyer-7", "name": "李雷雷"}), opened("bad", kind=SENTENCE))
    async with shop.db.conn() as conn:
        tables = await conn.fetch(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        for (table,) in tables:
            for row in await conn.fetch(f"SELECT t::text AS text FROM public.{table} t"):
                assert "李雷雷" not in row["text"]
                assert "buyer-7" not in row["text"]
                assert SENTENCE not in row["text"]


async def test_the_same_event_again_is_a_duplicate_and_another_under_its_id_a_conflict(shop: Desk) -> None:
    [first] = await send(shop, opened())
    [again, other, moved] = await send(
        shop, opened(), opened(title="别的"), opened() | {"time": "2026-10-17T00:30:00.000Z", "extra": "x"}
    )
    assert (again["outcome"], again["subject"], again["commit"]) == ("duplicate", first["subject"], first["commit"])
    assert (other["outcome"], other["code"], other["field"]) == ("rejected", "id_conflict", "id")
    assert other["remedy"]
    assert moved["outcome"] == "duplicate"
    assert len(await shop.events(first["subject"])) == 1


async def test_many_at_once_with_one_id_open_one_ticket(shop: Desk) -> None:
    answers = await asyncio.gather(*(send(shop, opened(), message()) for _ in range(12)))
    assert sorted(answer[0]["outcome"] for answer in answers).count("recorded") == 1
    assert len({answer[0]["subject"] for answer in answers}) == 1
    assert all(result["commit"] for answer in answers for result in answer)
    assert len(await shop.events(answers[0][0]["subject"])) == 2


async def test_a_customer_is_found_by_the_publishers_reference(shop: Desk) -> None:
    [first, second, other] = await send(
        shop, opened(), opened("o2", customer={"ref": "buyer-7"}), opened("o3", customer={"name": "李雷"})
    )
    customers = [(await shop.events(one["subject"]))[0][1]["customer"] for one in (first, second, other)]
    assert customers[0] == customers[1] != customers[2]
    [by_id] = await send(shop, opened("o4", customer={"id": customers[0]}))
    assert (await shop.events(by_id["subject"]))[0][1]["customer"] == customers[0]


async def test_one_of_ours_is_one_customer(shop: Desk) -> None:
    ours = {"side": "inside", "customer": {"person": "Y041", "name": "丙"}}
    first, second = await send(shop, opened(**ours), opened("o2", **ours))
    customers = {(await shop.events(one["subject"]))[0][1]["customer"] for one in (first, second)}
    assert len(customers) == 1


async def test_an_erased_customers_reference_names_nobody_any_more(shop: Desk) -> None:
    [first] = await send(shop, opened())
    customer = (await shop.events(first["subject"]))[0][1]["customer"]
    await shop.do("POST", f"/v1/customers/{customer}/erasure", {}, DIRECTOR)
    [again, late, anew, unknown] = await send(
        shop, opened(title="变了"), message(), opened("o2"), opened("o3", customer={"ref": "buyer-8"})
    )
    assert again["outcome"] == "duplicate"  # its content is forgotten, its id is not
    assert (late["outcome"], late["code"]) == ("rejected", "customer_erased")
    assert anew["outcome"] == "recorded"
    assert (await shop.events(anew["subject"]))[0][1]["customer"] != customer
    assert (unknown["code"], unknown["field"]) == ("customer_unknown", "data.customer")


async def test_a_message_goes_where_its_ticket_went(shop: Desk) -> None:
    first, second = await send(shop, opened(), opened("o2"))
    await shop.do("POST", f"/v1/tickets/{first['subject']}/merge", {"into": second["subject"]})
    [result] = await send(shop, message(ticket=first["subject"], opened=...))
    assert (result["outcome"], result["subject"]) == ("recorded", second["subject"])
    assert (await shop.events(second["subject"]))[-1][0] == "message_received"


async def test_nothing_of_others_is_reached_by_guessing_a_number(shop: Desk) -> None:
    customer = await shop.customer("别家的客户")
    ticket = await shop.ticket(customer)
    [written, taken] = await send(shop, message(ticket=ticket, opened=...), opened(customer={"id": customer}))
    assert (written["outcome"], written["code"]) == ("rejected", "ticket_unknown")
    assert (taken["outcome"], taken["code"]) == ("rejected", "customer_unknown")
    assert [name for name, _ in await shop.events(ticket)] == ["ticket_opened"]


REJECTED: list[tuple[Any, str, str | None]] = [
    (opened(kind="poem"), "field_invalid", "data.kind"),
    (opened(channel=...), "field_invalid", "data.channel"),
    (opened(customer={}), "field_invalid", "data.customer"),
    (opened(customer={"id": "C1", "name": "甲"}), "field_invalid", "data.customer"),
    (opened(customer={"id": "C999"}), "customer_unknown", "data.customer"),
    (opened(title=..., text=...), "field_invalid", "data"),
    (opened(unit="nowhere"), "unit_unknown", "data.unit"),
    (
        opened(attachments=[{"name": "a", "url": "b", "size": -1, "sha256": "c"}]),
        "field_invalid",
        "data.attachments.0.size",
    ),
    (opened(prority="high"), "field_invalid", "data.prority"),
    (opened(text="a\x00b"), "field_invalid", "data"),
    (message(ticket="T404", opened=...), "ticket_unknown", "data.ticket"),
    (message(opened={"id": "never"}), "ticket_unknown", "data.opened"),
    (message(opened=...), "field_invalid", "data"),
    (opened() | {"time": "2026-10-17"}, "time_invalid", "time"),
    (opened() | {"time": "2999-01-01T00:00:00Z"}, "time_in_future", "time"),
    (opened() | {"type": "opsledger.activity.seo.task"}, "unknown_type", "type"),
    (opened() | {"source": "stranger"}, "source_not_allowed", "source"),
    (opened() | {"specversion": "0.3"}, "not_cloudevents", "specversion"),
    (opened() | {"data": []}, "data_not_object", "data"),
    (7, "not_cloudevents", None),
]


async def test_a_rejection_has_code_field_and_remedy_and_takes_nothing_along(shop: Desk) -> None:
    for number, (sent, code, field) in enumerate(REJECTED):
        rejected, beside = await send(shop, sent, opened(f"beside-{number}", customer={"name": "旁人"}))
        assert (rejected["outcome"], rejected["code"], rejected.get("field")) == ("rejected", code, field), sent
        assert rejected["remedy"]
        assert beside["outcome"] == "recorded"
    [result] = await send(shop, opened())  # the id was used by none of them
    assert result["outcome"] == "recorded"


async def test_publishers_of_other_contexts_and_people_are_forbidden(shop: Desk) -> None:
    answer = await post(shop, opened(), who=publisher("poster"))
    assert (answer.status_code, answer.json()["code"]) == (403, "unknown_publisher")
    answer = await post(shop, opened(), who=MEMBER)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    [first, second] = await send(
        shop, opened() | {"source": "opener"}, message() | {"source": "opener"}, who=publisher("opener")
    )
    assert first["outcome"] == "recorded"
    assert (second["outcome"], second["code"], second["field"]) == ("rejected", "type_not_allowed", "type")


async def test_identities_come_back_with_the_ledger(shop: Desk) -> None:
    first, second = await send(shop, opened(), message())
    async with shop.tickets.db.tx() as conn:
        await conn.execute("DELETE FROM ticket_intake")
        for commit in await read_commits(shop.tickets.db, "tickets", 0, 1000):
            await intake_rows.restore(conn, commit.events())
    again = await send(shop, opened(), message())
    assert [result["outcome"] for result in again] == ["duplicate", "duplicate"]
    assert [result["commit"] for result in again] == [first["commit"], second["commit"]]


def test_the_published_samples_are_sound() -> None:
    for name in ("opsledger.ticket.opened", "opsledger.ticket.message"):
        sample = (Path(contracts.__file__).parent / "samples" / f"{name}.json").read_bytes()
        assert isinstance(read_event(sample, ZoneInfo("Asia/Shanghai")), Candidate)


async def test_the_fate_of_an_event(shop: Desk) -> None:
    [first] = await send(shop, opened())
    answer = await shop.get("/v1/events/status", publisher(), source="shop", id="o1")
    assert answer.json() == {
        "source": "shop", "id": "o1", "state": "recorded", "subject": first["subject"], "recorded": first["commit"],
    }  # fmt: skip
    assert (await shop.get("/v1/events/status", publisher(), source="shop", id="x")).status_code == 404
    assert (await shop.get("/v1/events/status", publisher(), source="poster", id="o1")).status_code == 403
