"""Tickets over HTTP: from opening to closing, once per key, on a stated version, and as far as a role reaches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.eventually import eventually
from tests.tickets.desk import AUDITOR, COLLEAGUE, DIRECTOR, HEAD, STRANGER, Desk, levels


async def test_a_ticket_walks_from_opening_to_closing(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer())
    path = f"/v1/tickets/{ticket}"
    await desk.do("PUT", f"{path}/assignee", {"person": "Y031"})
    await desk.do("POST", f"{path}/start")
    await desk.do("POST", f"{path}/replies", {"text": "我们正在查"})
    await desk.do("POST", f"{path}/wait", {"on": "customer", "text": "等银行卡号"})
    await desk.do("POST", f"{path}/messages", {"text": "卡号在这里"})
    await desk.do("POST", f"{path}/replies", {"text": "退款已经发出"})
    await desk.do("POST", f"{path}/notes", {"text": "财务已处理"})
    await desk.do("POST", f"{path}/resolution", {"outcome": "solved", "text": "退款"})
    await desk.do("POST", f"{path}/satisfaction", {"score": 5})
    await desk.do("POST", f"{path}/closing")
    assert [name for name, _ in await desk.events(ticket)] == [
        "ticket_opened", "ticket_assigned", "work_started", "ticket_replied", "ticket_waiting", "message_received",
        "ticket_resumed", "ticket_replied", "note_added", "ticket_resolved", "satisfaction_given", "ticket_closed",
    ]  # fmt: skip
    given = dict(await desk.events(ticket))["satisfaction_given"]
    assert (given["resolver"], given["unit"], given["score"]) == ("Y031", "service-desk", 5)


async def test_nothing_that_a_customer_said_stands_readable_in_the_ledger(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer("张三丰"), text="秘密的话")
    stored = str(await desk.events(ticket))
    assert "秘密" not in stored
    assert "张三丰" not in stored


async def test_the_same_request_under_a_key_counts_once_and_names_the_same_ticket(desk: Desk) -> None:
    body = {
        "kind": "inquiry", "customer": await desk.customer(), "unit": "service-desk", "channel": "web",
        "text": "怎么用?",
    }  # fmt: skip
    first = await desk.do("POST", "/v1/tickets", body, key="k1")
    again = await desk.do("POST", "/v1/tickets", body, key="k1")
    assert (first["changed"], again["changed"]) == (True, False)
    assert again["ticket"] == first["ticket"]
    assert again["positions"] == first["positions"]
    other = {**body, "text": "另一个问题"}
    assert await desk.refused("POST", "/v1/tickets", other, key="k1") == (422, "idempotency_key_reused")
    assert (await desk.do("POST", "/v1/tickets", other, key="k2"))["ticket"] != first["ticket"]


async def test_a_command_on_a_version_that_has_passed_is_refused(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer())
    opened = await desk.call("PUT", f"/v1/tickets/{ticket}/assignee", body={"person": "Y031"}, if_match='"1"')
    assert opened.headers["ETag"] == '"2"'
    late = await desk.refused("POST", f"/v1/tickets/{ticket}/start", if_match='"1"')
    assert late == (409, "version_conflict")
    assert (await desk.do("POST", f"/v1/tickets/{ticket}/start", if_match='"2"'))["version"] == 3
    assert await desk.refused("POST", f"/v1/tickets/{ticket}/start", if_match="soon") == (400, "bad_if_match")


async def test_what_is_not_possible_says_why(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer())
    path = f"/v1/tickets/{ticket}"
    assert await desk.refused("POST", f"{path}/closing") == (409, "not_in_this_state")
    assert await desk.refused("POST", f"{path}/replies", {}) == (422, "content_missing")
    assert (await desk.refused("POST", f"{path}/wait", {"on": "customer"}))[1] == "response_due"
    assert await desk.refused("POST", f"{path}/wait", {"on": "moon"}) == (422, "invalid_request")
    assert await desk.refused("POST", f"{path}/replies", {"text": "a\0b"}) == (422, "bad_value")
    assert await desk.refused("POST", "/v1/tickets/T999999/start") == (404, "ticket_unknown")
    unknown = {"kind": "inquiry", "customer": "C999", "unit": "service-desk", "channel": "web", "text": "?"}
    assert await desk.refused("POST", "/v1/tickets", unknown) == (404, "customer_unknown")


async def test_a_role_reaches_its_units_and_what_is_below_them(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer())
    note = f"/v1/tickets/{ticket}/notes"
    assert await desk.refused("POST", note, {"text": "x"}, STRANGER) == (403, "not_allowed")
    assert await desk.refused("POST", note, {"text": "x"}, AUDITOR) == (403, "not_allowed")
    assert await desk.refused("POST", note, {"text": "x"}, DIRECTOR) == (403, "not_allowed")
    await desk.do("POST", note, {"text": "x"}, COLLEAGUE)
    await desk.do("PUT", f"/v1/tickets/{ticket}/assignee", {"person": "Y041"}, DIRECTOR)
    await desk.do("POST", note, {"text": "mine, though of another unit"}, STRANGER)


async def test_a_ticket_is_handed_over_with_the_reason(desk: Desk) -> None:
    ticket = await desk.ticket(await desk.customer())
    path = f"/v1/tickets/{ticket}/hand-over"
    await desk.do("POST", path, {"unit": "returns", "reason": "退货组负责"})
    name, data = (await desk.events(ticket))[-1]
    assert (name, data["from_unit"], data["to_unit"]) == ("ticket_handed_over", "service-desk", "returns")
    assert await desk.refused("POST", path, {"unit": "service-desk", "reason": "back"}) == (403, "not_allowed")


async def test_two_tickets_of_a_customer_merge_in_one_commit(desk: Desk) -> None:
    customer = await desk.customer()
    one, other = await desk.ticket(customer), await desk.ticket(customer)
    await desk.do("POST", f"/v1/tickets/{one}/merge", {"into": other})
    assert (await desk.events(one))[-1][0] == "ticket_merged"
    assert (await desk.events(other))[-1][0] == "ticket_absorbed"
    strange = await desk.ticket(await desk.customer())
    status, _ = await desk.refused("POST", f"/v1/tickets/{strange}/merge", {"into": other})
    assert status in (409, 422)


async def test_a_ticket_is_under_the_levels_in_force_when_the_customer_turned_to_us(desk: Desk) -> None:
    customer = await desk.customer()
    before = dict(await desk.events(await desk.ticket(customer)))["ticket_opened"]
    assert (before["levels"], before["targets"]["resolution"]) == (0, None)
    await desk.do("POST", "/v1/service-levels", levels(), DIRECTOR)
    assert not (await desk.do("POST", "/v1/service-levels", levels(), DIRECTOR))["changed"]
    assert await desk.refused("POST", "/v1/service-levels", levels(title="x"), DIRECTOR) == (409, "version_exists")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    await desk.do("POST", "/v1/service-levels", levels(2, effective=tomorrow), DIRECTOR)
    after = dict(await desk.events(await desk.ticket(customer)))["ticket_opened"]
    assert (after["levels"], after["targets"]["resolution"]) == (1, 14400)
    listed = (await desk.get("/v1/service-levels")).json()["data"]
    assert [(row["version"], row["in_force"]) for row in listed] == [(2, False), (1, True)]
    assert (await desk.get("/v1/service-levels/1")).json()["data"]["title"] == "服务标准"
    assert await desk.refused("POST", "/v1/service-levels", levels(3)) == (403, "not_allowed")


async def test_a_customer_is_registered_changed_and_read_by_whom_the_table_lets(desk: Desk) -> None:
    customer = await desk.customer("李四")
    path = f"/v1/customers/{customer}"
    await desk.do("PUT", path, {"name": "李四", "company": "某公司"})
    assert not (await desk.do("PUT", path, {"name": "李四", "company": "某公司"}))["changed"]
    found = await desk.get(path)
    assert (found.json()["data"]["profile"], found.headers["ETag"]) == ({"name": "李四", "company": "某公司"}, '"2"')
    assert (await desk.refused("GET", path, who=DIRECTOR)) == (403, "not_allowed")
    assert (await desk.refused("GET", "/v1/customers/C999")) == (404, "customer_unknown")


async def test_one_of_ours_is_a_customer_once(desk: Desk) -> None:
    inside = {"side": "inside", "person": "Y041", "unit": "returns"}
    customer = await desk.customer("同事", **inside)
    body = {"profile": {"name": "同事"}, **inside}
    assert await desk.refused("POST", "/v1/customers", body) == (409, "customer_known")
    opened = dict(await desk.events(await desk.ticket(customer, kind="internal_cooperation")))["ticket_opened"]
    assert opened["side"] == "inside"


async def test_concurrent_commands_on_one_ticket_all_count(desk: Desk) -> None:
    import asyncio

    ticket = await desk.ticket(await desk.customer())
    notes = [desk.do("POST", f"/v1/tickets/{ticket}/notes", {"text": f"{n}"}, HEAD) for n in range(20)]
    await asyncio.gather(*notes)
    numbers = [data["n"] for name, data in await desk.events(ticket) if name == "note_added"]
    assert numbers == list(range(1, 21))


async def test_the_ledger_reaches_its_stream(desk: Desk) -> None:
    await desk.ticket(await desk.customer())
    heads = await desk.tickets.committer.ledger.heads()
    projectors = desk.app.state.projectors.values()
    await eventually(lambda: all(p.applied.get("tickets", heads["tickets"]) >= heads["tickets"] for p in projectors))


async def test_a_customer_is_no_business_of_units_that_have_nothing_to_do_with_it(desk: Desk) -> None:
    customer = await desk.customer("李四")
    path = f"/v1/customers/{customer}"
    assert await desk.refused("GET", path, who=STRANGER) == (403, "not_allowed")
    assert await desk.refused("PUT", path, {"name": "别人"}, who=STRANGER) == (403, "not_allowed")
    await desk.ticket(customer)

    async def seen_by_the_unit() -> bool:
        return (await desk.get(path, who=COLLEAGUE)).status_code == 200

    await eventually(seen_by_the_unit)
    assert await desk.refused("GET", path, who=STRANGER) == (403, "not_allowed")


async def test_moments_beyond_every_calendar_are_refused(desk: Desk) -> None:
    customer = await desk.customer()
    old = {
        "kind": "inquiry", "customer": customer, "unit": "service-desk", "channel": "web", "text": "?",
        "at": "0001-01-01T00:00:00Z",
    }  # fmt: skip
    assert await desk.refused("POST", "/v1/tickets", old) == (422, "time_too_old")
    path = f"/v1/tickets/{await desk.ticket(customer)}"
    await desk.do("POST", f"{path}/replies", {"text": "!"})
    late = {"on": "customer", "until": "9999-12-31T23:59:59-08:00"}
    assert await desk.refused("POST", f"{path}/wait", late) == (422, "until_out_of_range")
