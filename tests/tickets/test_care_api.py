"""Care over HTTP: the walk of visits, needs, cases, reports, topics and queues on the running service."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from services.kernel.read_models_api import RebuildOptions
from tests.eventually import eventually
from tests.tickets.care_given import (
    PRODUCT_MANAGER,
    ZONE,
    day,
    define_forum,
    folded,
    live_on,
    rows,
    today,
    visit_by_hand,
)
from tests.tickets.desk import COLLEAGUE, DIRECTOR, HEAD, STRANGER, Desk


async def test_a_visit_goes_from_the_due_list_to_its_result(desk: Desk) -> None:
    customer = await desk.customer()
    made = await visit_by_hand(desk, customer)
    assert made["visit"].startswith("V")
    at = made["positions"]
    [due] = await rows(desk, "/v1/visits", at_least=at, state=["planned", "missed"], due_until=day(7))
    assert (due["visit"], due["state"], due["content"]) == (made["visit"], "planned", {})
    path = f"/v1/visits/{made['visit']}"
    done = await desk.do("POST", f"{path}/result", {"text": "需要导出功能", "satisfaction": 4})
    answer = await desk.get(path, at_least=done["positions"])
    found = answer.json()["data"]
    assert answer.headers["etag"] == '"2"'
    assert (found["state"], found["late"], found["satisfaction"], found["ended_by"]) == ("done", False, 4, "Y031")
    assert found["content"] == {"result": {"text": "需要导出功能"}}
    assert await desk.refused("POST", f"{path}/result", {"text": "noch"}) == (409, "not_in_this_state")


async def test_a_repeated_request_schedules_one_visit(desk: Desk) -> None:
    customer = await desk.customer()
    body = {"customer": customer, "due": day(3), "unit": "service-desk"}
    first = await desk.do("POST", "/v1/visits", body, key="k1")
    again = await desk.do("POST", "/v1/visits", body, key="k1")
    assert (again["visit"], again["changed"]) == (first["visit"], False)
    assert await desk.refused("POST", "/v1/visits", {**body, "due": day(4)}, key="k1") == (
        422,
        "idempotency_key_reused",
    )


async def test_commands_on_an_old_version_are_refused(desk: Desk) -> None:
    made = await visit_by_hand(desk, await desk.customer())
    path = f"/v1/visits/{made['visit']}/assignment"
    await desk.do("POST", path, {"person": "Y032"}, if_match='"1"')
    assert await desk.refused("POST", path, {"person": "Y031"}, if_match='"1"') == (409, "version_conflict")


async def test_what_a_visit_refers_to_must_be_there(desk: Desk) -> None:
    customer, other = await desk.customer(), await desk.customer("李强")
    ticket = await desk.ticket(other)
    body = {"customer": customer, "due": day(1), "unit": "service-desk"}
    for change, refusal in (
        ({"customer": "C999"}, (404, "customer_unknown")),
        ({"unit": "nowhere"}, (422, "unit_unknown")),
        ({"unit": "creative"}, (403, "not_allowed")),
        ({"project": "nothing"}, (422, "project_unknown")),
        ({"ticket": "T999"}, (422, "ticket_unknown")),
        ({"ticket": ticket}, (422, "another_customers")),
        ({"due": day(-1)}, (422, "due_in_the_past")),
    ):
        assert await desk.refused("POST", "/v1/visits", {**body, **change}) == refusal, change


async def test_what_the_read_model_cannot_hold_is_refused_before_it_is_sealed(desk: Desk) -> None:
    made = await visit_by_hand(desk, await desk.customer())
    refusal = await desk.refused("POST", f"/v1/visits/{made['visit']}/result", {"text": "a\0b"})
    assert refusal == (422, "bad_value")


async def test_units_see_and_change_their_own_visits(desk: Desk) -> None:
    made = await visit_by_hand(desk, await desk.customer())
    path, at = f"/v1/visits/{made['visit']}", made["positions"]
    assert [v["visit"] for v in await rows(desk, "/v1/visits", HEAD, at_least=at)] == [made["visit"]]
    assert await rows(desk, "/v1/visits", STRANGER, at_least=at) == []
    assert await desk.refused("GET", path, who=STRANGER) == (404, "visit_unknown")
    assert await desk.refused("POST", f"{path}/cancellation", {}, STRANGER) == (403, "not_allowed")
    done = await desk.do("POST", f"{path}/result", {"text": "秘密"}, COLLEAGUE)
    seen = (await desk.get(path, DIRECTOR, at_least=done["positions"])).json()["data"]
    assert seen["state"] == "done"
    assert "content" not in seen  # the director sees visits, not what customers said


async def test_a_need_is_followed_to_its_end_by_the_product_manager(desk: Desk) -> None:
    customer = await desk.customer()
    ticket = await desk.ticket(customer)
    body = {"customer": customer, "unit": "service-desk", "ticket": ticket, "text": "要批量导出", "tags": ["导出"]}
    made = await desk.do("POST", "/v1/needs", body, key="n1")
    assert (await desk.do("POST", "/v1/needs", body, key="n1"))["need"] == made["need"]
    path = f"/v1/needs/{made['need']}"
    await desk.do("PUT", f"{path}/tags", {"tags": ["导出", "批量"]})
    assert await desk.refused("POST", f"{path}/decision", {"outcome": "accepted"}) == (409, "not_in_this_state")
    assert await desk.refused("POST", f"{path}/hand-over", {"to": "P001"}, PRODUCT_MANAGER) == (403, "not_allowed")
    handed = await desk.do("POST", f"{path}/hand-over", {"to": "P001"})
    [seen] = await rows(desk, "/v1/needs", PRODUCT_MANAGER, at_least=handed["positions"], tag="批量")
    assert seen["content"] == {"need": {"text": "要批量导出"}}
    await desk.do("POST", f"{path}/decision", {"outcome": "planned", "text": "下个版本"}, PRODUCT_MANAGER)
    ended = await desk.do("POST", f"{path}/decision", {"outcome": "delivered", "text": "已上线"}, PRODUCT_MANAGER)
    found = (await desk.get(path, at_least=ended["positions"])).json()["data"]
    assert (found["state"], found["tags"], found["decided_by"]) == ("delivered", ["导出", "批量"], "P001")
    assert found["content"]["need"] == {"text": "要批量导出"}
    assert found["content"]["decision"] == {"text": "已上线"}


async def test_a_months_report_counts_its_complaints_and_is_in_time_or_not(desk: Desk) -> None:
    customer = await desk.customer()
    last = today().replace(day=1) - timedelta(days=1)
    at = datetime.combine(last, time(12), ZONE).isoformat()
    first, second = [await desk.ticket(customer, at=at) for _ in range(2)]
    await desk.ticket(customer, at=at, kind="inquiry")
    await desk.ticket(customer)
    await desk.do("POST", f"/v1/tickets/{second}/merge", {"into": first})
    await folded(desk)
    path = f"/v1/complaint-reports/service-desk/{last:%Y-%m}"
    done = await desk.do("POST", path, {"remarks": "退款"})
    [report] = await rows(desk, "/v1/complaint-reports", at_least=done["positions"])
    assert (report["complaints"], report["in_time"]) == (1, today().day <= 5)
    assert (await desk.do("POST", path, {"remarks": "退款"}))["changed"] is False
    assert await desk.refused("POST", path, {"remarks": "more"}) == (409, "report_submitted")
    this = f"/v1/complaint-reports/service-desk/{today():%Y-%m}"
    assert await desk.refused("POST", this, {}) == (409, "month_not_over")
    assert await desk.refused("POST", path.replace("service-desk", "returns"), {}) == (403, "not_allowed")
    assert await desk.refused("POST", "/v1/complaint-reports/service-desk/2026-13", {}) == (422, "bad_month")


async def test_a_topic_beyond_its_own_past_is_raised_once_and_coordinated_to_its_end(desk: Desk) -> None:
    customer = await desk.customer()
    first = today().replace(day=1)
    for _ in range(4):  # four quiet months: one complaint about shipping each, none about login
        first = (first - timedelta(days=1)).replace(day=1)
        at = datetime.combine(first, time(12), ZONE).isoformat()
        await desk.ticket(customer, topic="shipping", at=at)
    await desk.ticket(customer, topic="shipping")
    for _ in range(3):
        await desk.ticket(customer, topic="login")
    await live_on(desk, 0)
    await live_on(desk, 0)
    [case] = await rows(desk, "/v1/cases")
    figures = {key: case[key] for key in ("topic", "month", "count", "expected", "limit", "months", "state")}
    assert figures == {
        "topic": "login", "month": f"{today():%Y-%m}", "count": 3, "expected": "0", "limit": 3, "months": 4,
        "state": "raised",
    }  # fmt: skip
    path = f"/v1/cases/{case['case']}"
    body = {"person": "Y031", "unit": "service-desk", "guidance": "先问浏览器版本"}
    assert await desk.refused("POST", f"{path}/coordination", body) == (403, "not_allowed")
    assert await desk.refused("POST", f"{path}/end", {"outcome": "solved"}, HEAD) == (409, "not_in_this_state")
    await desk.do("POST", f"{path}/coordination", body, HEAD)
    done = await desk.do("POST", f"{path}/end", {"outcome": "solved", "findings": "证书过期"}, HEAD)
    found = (await desk.get(path, at_least=done["positions"])).json()["data"]
    assert (found["state"], found["guidance"], found["findings"]) == ("ended", "先问浏览器版本", "证书过期")
    await live_on(desk, 0)
    assert len(await rows(desk, "/v1/cases")) == 1


async def test_topics_are_a_tree(desk: Desk) -> None:
    for topic, parent in (("account", None), ("login", "account"), ("password", "login")):
        await desk.do("PUT", f"/v1/topics/{topic}", {"name_zh": topic, "name_en": topic, "parent": parent}, HEAD)
    circle = {"name_zh": "a", "name_en": "a", "parent": "password"}
    assert await desk.refused("PUT", "/v1/topics/account", circle, HEAD) == (409, "topic_in_a_circle")
    assert await desk.refused("PUT", "/v1/topics/x", {**circle, "parent": "none"}, HEAD) == (404, "topic_unknown")
    assert await desk.refused("PUT", "/v1/topics/x", circle) == (403, "not_allowed")
    await folded(desk)
    assert {t["topic"]: t["parent"] for t in await rows(desk, "/v1/topics")} == {
        "account": None,
        "login": "account",
        "password": "login",
    }


async def test_a_queue_is_saved_for_oneself_or_the_unit(desk: Desk) -> None:
    mine = await desk.do("POST", "/v1/queues", {"name": "my open", "query": {"state": "open"}})
    ours = await desk.do("POST", "/v1/queues", {"name": "ours", "unit": "service-desk", "query": {}})
    await folded(desk)
    assert [q["queue"] for q in await rows(desk, "/v1/queues")] == [mine["queue"], ours["queue"]]
    assert [q["queue"] for q in await rows(desk, "/v1/queues", COLLEAGUE)] == [ours["queue"]]
    path = f"/v1/queues/{mine['queue']}"
    assert await desk.refused("DELETE", path, who=COLLEAGUE) == (403, "not_allowed")
    await desk.do("PUT", path, {"name": "my own", "query": {"state": "waiting"}})
    await folded(desk)
    assert (await rows(desk, "/v1/queues"))[0]["query"] == {"state": "waiting"}
    await desk.do("DELETE", path)
    await folded(desk)
    assert [q["queue"] for q in await rows(desk, "/v1/queues")] == [ours["queue"]]
    assert await desk.refused("PUT", "/v1/queues/Q999", {"name": "x", "query": {}}) == (404, "queue_unknown")
    named = {"name": "x", "query": {"text": "王小明"}}
    assert await desk.refused("POST", "/v1/queues", named) == (422, "bad_query")


async def test_pages_follow_each_other_without_gap_or_repeat(desk: Desk) -> None:
    customer = await desk.customer()
    made = [(await visit_by_hand(desk, customer, due))["visit"] for due in (5, 1, 3, 1, 2)]
    await folded(desk)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = (await desk.get("/v1/visits", limit=2, **cursor)).json()
        found += [v["visit"] for v in answer["data"]]
        if answer["next"] is None:
            break
        cursor = {"cursor": answer["next"]}
    assert sorted(found) == sorted(made)
    assert await desk.refused("GET", "/v1/visits", cursor="x") == (422, "bad_cursor")


async def test_a_rebuild_of_care_is_the_live_one(desk: Desk) -> None:
    await define_forum(desk)
    customer, gone = await desk.customer(), await desk.customer("丁")
    ticket = await desk.ticket(customer, project="forum")
    await desk.do("POST", f"/v1/tickets/{ticket}/resolution", {"outcome": "solved"})
    for whose in (customer, gone):
        visit = await visit_by_hand(desk, whose, 2)
        await desk.do("POST", f"/v1/visits/{visit['visit']}/result", {"text": "好"})
    await desk.do("POST", f"/v1/customers/{gone}/erasure", {}, DIRECTOR)
    await folded(desk)
    job = desk.app.state.read_models.begin("care", RebuildOptions())
    done = await eventually(lambda: job if job["state"] != "running" else None, timeout=30)
    assert done["state"] == "done", done
    assert (done["report"]["differences"], done["report"]["switched"]) == ([], True)
