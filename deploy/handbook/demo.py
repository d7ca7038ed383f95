"""The demonstration: an organisation and about a month of plausible activity up to a given moment. Pure and seeded.

`demonstration(now)` gives the same for the same moment, and for a later one of the same month the same days again
plus the new ones: loading it twice changes nothing that stands. Among the activities are voids (some before their
targets), duplicates, a conflict, late ones, some that are held (account or person unknown) and some that are rejected.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from contracts.activity import VOIDED_TYPE, WIRE_PREFIX
from deploy.handbook.demo_people import BOUND, DemoPerson, accounts_of, cast, organisation
from deploy.handbook.demo_work import Doing, doings

EARLY = 15  # before this day of the month the whole month before is shown too
LATE_SHARE = 0.01
DUPLICATE_SHARE = 0.004
VOID_SHARE = 0.003


@dataclass(frozen=True, slots=True)
class Demonstration:
    """`organisation` is an import document (`opsledger org apply`); `events` are CloudEvents in the order sent."""

    organisation: dict[str, Any]
    events: list[dict[str, Any]]
    since: date
    today: date


def demonstration(now: datetime, seed: int = 20, timezone: str = "Asia/Shanghai") -> Demonstration:
    """Return the demonstration as of `now` (aware). Nothing is dated after it."""
    zone = ZoneInfo(timezone)
    local = now.astimezone(zone)
    today = local.date()
    start = today.replace(day=1)
    if today.day < EARLY:
        start = (start - timedelta(days=1)).replace(day=1)
    people = cast(start)
    events: list[dict[str, Any]] = []
    day = start
    while day <= today:
        for person in people:
            events.extend(_day(person, people, start, day, zone, seed))
        day += timedelta(days=1)
    events = sorted((one for one in events if datetime.fromisoformat(one["time"]) <= local), key=_when)
    return Demonstration(organisation(start), _mishaps(events, local), start, today)


def _when(event: dict[str, Any]) -> tuple[str, str]:
    return event["time"], event["id"]


def _day(
    person: DemoPerson, people: list[DemoPerson], start: date, day: date, zone: ZoneInfo, seed: int
) -> list[dict[str, Any]]:
    """Return what one person does on one day; each (person, day) has a random stream of its own."""
    if any(since <= day <= until for since, until in person.away):
        return []
    unit = person.unit
    if person.since is not None and day < person.since:
        if person.moved_from is None:
            return []
        unit = person.moved_from
    rng = Random(f"{seed}:{person.number}:{day}")  # noqa: S311 (play data, no secret)
    weekend = 0.5 if day.isoweekday() > 5 else 1.15
    mates = [p.number for p in people if p.unit in BOUND and p is not person]
    mine = [a for a in accounts_of(person, start) if a["registered"][0]["since"] <= day.isoformat()]
    events: list[dict[str, Any]] = []
    for doing in doings(unit):
        if doing.daily:
            times = [account["handle"] for account in mine if account["platform"] == doing.platform]
            chosen: list[str | None] = [h for h in times if rng.random() < min(0.97, 0.85 * person.pace)]
        else:
            rate = doing.month * person.pace * weekend / 30 / doing.quantity
            chosen = [None] * (int(rate) + (rng.random() < rate % 1))
        for handle in chosen:
            data = _data(doing, mine, mates, handle, rng)
            if data is not None:
                events.append(_event(doing, person.number, day, len(events), data, rng, zone))
    return events


def _data(
    doing: Doing, mine: list[dict[str, Any]], mates: list[str], handle: str | None, rng: Random
) -> dict[str, Any] | None:
    data: dict[str, Any] = {}
    if doing.platform is not None:
        usable = [a for a in mine if (a["platform"] == doing.platform or (doing.platform == "forum" and _forum(a)))]
        if not usable:
            return None
        account = rng.choice(usable)
        data["account"] = handle or account["handle"]
        if doing.platform == "forum":
            data["platform"] = account["platform"]
        if doing.type == "hosting.daily":
            data["client"] = account["client"]
    if doing.quantity > 1:
        data["quantity"] = rng.randint(max(1, doing.quantity // 2), doing.quantity * 3 // 2)
    if doing.type == "blog.exchange_comment":
        data["counterpart"] = rng.choice(mates[:4])
    if doing.form:
        data["form"] = rng.choices(("original", "share", "direct_message"), (3, 6, 1))[0]
    if doing.on_topic and rng.random() < 0.06:
        data["on_topic"] = False
    for field, values in doing.fields.items():
        data[field] = rng.choice(values)
    return data


def _forum(account: dict[str, Any]) -> bool:
    return "-bbs" in account["handle"]


def _event(
    doing: Doing, person: str, day: date, number: int, data: dict[str, Any], rng: Random, zone: ZoneInfo
) -> dict[str, Any]:
    moment = datetime(day.year, day.month, day.day, 8, 30, tzinfo=zone) + timedelta(seconds=rng.randint(0, 38_000))
    return {
        "specversion": "1.0",
        "id": f"{person}-{day:%Y%m%d}-{number:03d}",
        "source": doing.publisher,
        "type": WIRE_PREFIX + doing.type,
        "subject": person,
        "time": moment.isoformat(),
        "data": data,
    }


def _mishaps(events: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Return the stream as it really arrives: late ones at the end, duplicates, voids, held and rejected ones."""
    sent: list[dict[str, Any]] = []
    late: list[dict[str, Any]] = []
    for place, event in enumerate(events):
        dice = Random(event["source"] + event["id"]).random()  # noqa: S311 (play data, no secret)
        if dice < LATE_SHARE:
            late.append(event)
            continue
        if LATE_SHARE < dice < LATE_SHARE + VOID_SHARE:
            before = place % 5 == 0
            pair = [_void(event), event] if before else [event, _void(event)]
            sent.extend(pair)
            continue
        sent.append(event)
        if dice > 1 - DUPLICATE_SHARE:
            sent.append(dict(event))
    return sent + late + _held(events) + _rejected(events, now)


def _void(target: dict[str, Any]) -> dict[str, Any]:
    return {
        **{key: target[key] for key in ("specversion", "source", "subject", "time")},
        "id": f"void-{target['id']}",
        "type": VOIDED_TYPE,
        "data": {"target": {"source": target["source"], "id": target["id"]}, "reason": "重复统计，撤回"},
    }


def _first(events: list[dict[str, Any]], type: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == WIRE_PREFIX + type][:4]


def _held(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Four whose account is not registered yet and one of a person whom nobody has registered."""
    unknown = {"account": "新注册的马甲", "title": "周末自驾路线求推荐"}
    posts = [{**event, "data": {**event["data"], **unknown}} for event in _first(events, "forum.post")]
    answers = [{**event, "subject": "Y399"} for event in _first(events, "qa.answer")[:1]]
    return [{**event, "id": f"held-{event['id']}"} for event in (*posts, *answers)]


def _rejected(events: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """What publishers get wrong: each is answered with a code, a field and a remedy."""
    posts = _first(events, "forum.post")
    if not posts:
        return []
    base = posts[0]
    day = now.date().isoformat()
    wrong: list[dict[str, Any]] = [
        {"type": WIRE_PREFIX + "douyin.post"},
        {"data": {"platform": "天涯论坛"}},
        {"data": {**base["data"], "quantity": 0}},
        {"time": base["time"][:19]},
        {"time": (now + timedelta(days=2)).isoformat()},
        {"data": {**base["data"], "form": "poem"}},
    ]
    mistakes = [{**base, "id": f"wrong-{day}-{i}", **fields} for i, fields in enumerate(wrong)]
    return [*mistakes, {**base, "data": {**base["data"], "title": "同一编号，不同内容"}}]  # a conflict
