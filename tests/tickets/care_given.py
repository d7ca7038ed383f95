"""What the tests of care share: days from today, the worker living on to one, and the first steps of a story."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.kernel.clock import now
from services.tickets.care_worker import CareWorker
from tests.eventually import eventually
from tests.tickets.desk import HEAD, Desk, token

ZONE = ZoneInfo("Asia/Shanghai")
PRODUCT_MANAGER = token("P001", ("member", "creative"))


def today() -> date:
    return now().astimezone(ZONE).date()


def day(number: int) -> str:
    return (today() + timedelta(days=number)).isoformat()


def noon(number: int) -> datetime:
    """The local noon of the day so many days from today."""
    return datetime.combine(today() + timedelta(days=number), time(12), ZONE).astimezone(UTC)


async def folded(desk: Desk) -> None:
    """Wait until care and the statistics hold the ledger."""
    head = (await desk.tickets.committer.ledger.heads())["tickets"]
    both = [desk.app.state.projectors[name] for name in ("care", "statistics")]
    await eventually(lambda: all(one.applied.get("tickets", 0) >= head for one in both))


async def live_on(desk: Desk, number: int) -> None:
    """Let the worker look at the world on that day's noon."""
    await folded(desk)
    worker: CareWorker = desk.app.state.care
    await worker.work_once(noon(number), rules=True)
    await folded(desk)


async def rows(desk: Desk, path: str, who: str | None = None, **params: Any) -> list[dict[str, Any]]:
    answer = await (desk.get(path, who, **params) if who else desk.get(path, **params))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def visit_by_hand(desk: Desk, customer: str, due: int = 3, **more: Any) -> dict[str, Any]:
    body = {"customer": customer, "due": day(due), "unit": "service-desk", "person": "Y031", **more}
    return await desk.do("POST", "/v1/visits", body)


async def rows_of(desk: Desk, path: str) -> dict[str, Any]:
    answer = await desk.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


async def define_forum(desk: Desk) -> None:
    await desk.do("PUT", "/v1/projects/forum", {"name_zh": "论坛", "name_en": "Forum"}, HEAD)
