"""What time does to visits: missed to the instant, scheduled by rules, given up; each once, however late."""

from __future__ import annotations

import asyncio
from datetime import datetime, time, timedelta

from services.tickets.care_worker import CareWorker
from tests.tickets.care_given import (
    ZONE,
    day,
    define_forum,
    folded,
    live_on,
    noon,
    rows,
    rows_of,
    today,
    visit_by_hand,
)
from tests.tickets.desk import DIRECTOR, HEAD, Desk


async def test_a_visit_is_missed_at_the_end_of_its_day_and_may_be_done_late(desk: Desk) -> None:
    made = await visit_by_hand(desk, await desk.customer(), due=1)
    await live_on(desk, 1)
    path = f"/v1/visits/{made['visit']}"
    assert (await rows_of(desk, path))["state"] == "planned"
    await live_on(desk, 9)  # nobody woke for a week: the instant is the same
    missed = await rows_of(desk, path)
    assert missed["state"] == "missed"
    over = datetime.combine(today() + timedelta(days=2), time(0), ZONE)
    assert datetime.fromisoformat(missed["missed_at"]) == over
    await live_on(desk, 10)
    assert (await rows_of(desk, path))["version"] == missed["version"]  # missed once
    await desk.do("POST", f"{path}/result", {"text": "终于"})
    await folded(desk)
    assert (await rows_of(desk, path))["late"] is True


async def test_a_rule_schedules_each_customer_of_a_project_once(desk: Desk) -> None:
    await define_forum(desk)
    member, named, stranger = [await desk.customer(name) for name in ("甲", "乙", "丙")]
    await desk.ticket(member, project="forum")
    await desk.ticket(member, project="forum")
    await desk.ticket(stranger)
    rule = {
        "trigger": "every_days", "days": 10, "project": "forum", "customers": [named], "unit": "service-desk",
        "since": day(0),
    }  # fmt: skip
    assert await desk.refused("PUT", "/v1/visit-rules/ten", {**rule, "customers": ["C999"]}, HEAD) == (
        404,
        "customer_unknown",
    )
    await desk.do("PUT", "/v1/visit-rules/ten", rule, HEAD)
    for number in (0, 0, 1, 7):
        await live_on(desk, number)
    found = await rows(desk, "/v1/visits", rule="ten")
    expected = sorted((who, day(due)) for who in (member, named) for due in (10, 20))
    assert sorted((v["customer"], v["due"]) for v in found) == expected
    assert {v["project"] for v in found} == {"forum"}
    await desk.do("POST", "/v1/visit-rules/ten/end", None, HEAD)
    await live_on(desk, 7)
    found = await rows(desk, "/v1/visits", rule="ten")
    assert {(v["state"], v["cause"]) for v in found} == {("cancelled", "rule_ended")}


async def test_a_rule_that_is_changed_moves_its_visits(desk: Desk) -> None:
    customer = await desk.customer()
    rule = {"trigger": "every_days", "days": 10, "customers": [customer], "unit": "service-desk", "since": day(0)}
    await desk.do("PUT", "/v1/visit-rules/r", rule, HEAD)
    await live_on(desk, 0)
    await desk.do("PUT", "/v1/visit-rules/r", {**rule, "days": 5}, HEAD)
    await live_on(desk, 0)
    standing = await rows(desk, "/v1/visits", rule="r", state=["planned"])
    assert [v["due"] for v in standing] == [day(5), day(10)]
    await desk.do("PUT", "/v1/visit-rules/r", {**rule, "days": 3}, HEAD)
    await live_on(desk, 0)
    await live_on(desk, 0)
    standing = await rows(desk, "/v1/visits", rule="r", state=["planned"])
    assert [v["due"] for v in standing] == [day(3), day(6), day(9), day(12)]


async def test_a_complaint_resolved_brings_a_visit_and_reopened_takes_it_back(desk: Desk) -> None:
    customer = await desk.customer()
    rule = {"trigger": "after_complaint", "days": 7, "unit": "service-desk", "person": "Y032", "since": day(0)}
    await desk.do("PUT", "/v1/visit-rules/after", rule, HEAD)
    complaint = await desk.ticket(customer)
    inquiry = await desk.ticket(customer, kind="inquiry")
    for ticket in (complaint, inquiry):
        await desk.do("POST", f"/v1/tickets/{ticket}/resolution", {"outcome": "solved"})
    await live_on(desk, 0)
    [visit] = await rows(desk, "/v1/visits", rule="after")
    assert (visit["ticket"], visit["due"], visit["person"]) == (complaint, day(7), "Y032")
    await desk.do("POST", f"/v1/tickets/{complaint}/reopening", {"text": "还是不行"})
    await live_on(desk, 0)
    assert [v["state"] for v in await rows(desk, "/v1/visits", rule="after")] == ["cancelled"]
    await desk.do("POST", f"/v1/tickets/{complaint}/resolution", {"outcome": "solved"})
    await live_on(desk, 0)
    await live_on(desk, 0)
    found = await rows(desk, "/v1/visits", rule="after")
    assert sorted(v["state"] for v in found) == ["cancelled", "planned"]
    assert {v["due"] for v in found} == {day(7)}


async def test_an_erased_customer_is_visited_no_more_and_its_words_are_gone(desk: Desk) -> None:
    customer = await desk.customer()
    planned, done = await visit_by_hand(desk, customer, 2), await visit_by_hand(desk, customer, 3)
    await desk.do("POST", f"/v1/visits/{done['visit']}/result", {"text": "秘密"})
    body = {"customer": customer, "unit": "service-desk", "text": "秘密"}
    await desk.do("POST", "/v1/needs", {**body, "visit": done["visit"]})
    await folded(desk)
    await desk.do("POST", f"/v1/customers/{customer}/erasure", {}, DIRECTOR)
    assert (await rows_of(desk, f"/v1/visits/{done['visit']}"))["content"] == {}
    await live_on(desk, 5)
    found = await rows_of(desk, f"/v1/visits/{planned['visit']}")
    assert (found["state"], found["cause"], found["missed_at"]) == ("cancelled", "customer_erased", None)
    assert await desk.refused("POST", "/v1/needs", body) == (410, "customer_erased")


async def test_four_workers_at_once_schedule_and_miss_each_visit_once(desk: Desk) -> None:
    customer = await desk.customer()
    rule = {"trigger": "every_days", "days": 2, "customers": [customer], "unit": "service-desk", "since": day(0)}
    await desk.do("PUT", "/v1/visit-rules/r", rule, HEAD)
    for number, expected in ((0, 7), (4, 9)):
        await folded(desk)
        workers = [CareWorker(desk.tickets) for _ in range(4)]
        await asyncio.gather(*(worker.work_once(noon(number), rules=True) for worker in workers))
        await folded(desk)
        assert len(await rows(desk, "/v1/visits", rule="r")) == expected
    [missed] = await rows(desk, "/v1/visits", rule="r", state=["missed"])
    assert (missed["due"], missed["version"]) == (day(2), 2)
