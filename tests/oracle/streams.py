"""Streams of valid activities about an organisation: every type of the catalogue, at all hours and offsets."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.catalogue import FORMS, NEEDS, PREFIX
from tests.oracle.days import CENTRE_ZONE
from tests.oracle.intake import Delivery, Event
from tests.oracle.organisation import Organisation
from tests.oracle.organisations import CLIENT_PLATFORM, FORUMS

OFFSETS = (8.0, 8.0, 0.0, -5.0, 5.75, 14.0, -12.0)  # hours
CLOCKS = (time(0, 0, 0), time(23, 59, 59), time(0, 0, 1), time(9, 30, 0), time(16, 0, 0), time(15, 59, 59))
FRACTIONS = ("", "", ".5", ".999999999", ".000001")
CAMPAIGN = ("campaign.plan", "campaign.run", "campaign.report")
OFTEN = ("forum.post", "blog.original", "blog.article_comment", "blog.exchange_comment", "weibo.post", "qq.comment")


class StreamMaker:
    def __init__(self, random: Random, organisation: Organisation, days: list[date], received: datetime) -> None:
        self.random = random
        self.organisation = organisation
        self.days = days
        self.received = received
        self.people = [person["person"] for person in organisation["people"]]
        self.accounts: dict[str, list[dict[str, Any]]] = {}
        for entry in organisation["accounts"]:
            self.accounts.setdefault(entry["platform"], []).append(entry)
        self.made = 0

    def make(self, events: int) -> list[Delivery]:
        """Each type of the catalogue at least once, then mostly those with nested, weekly and pair figures."""
        types = list(NEEDS) + [
            self.random.choice([*NEEDS, *OFTEN * 6, *CAMPAIGN * 2]) for _ in range(events - len(NEEDS))
        ]
        stream = [self.delivery(type_) for type_ in types[:events]]
        return sorted(stream, key=lambda delivery: str(delivery.event["time"])[:10])

    def delivery(self, type_: str) -> Delivery:
        publisher, source = self.random.choice([("poster", "poster"), ("poster", "/poster/backup"), ("crm", "crm")])
        if type_ in ("email.sent", "seo.task") and self.random.random() < 0.5:
            publisher = source = "mailer"
        subject = self.random.choice(self.people)
        event = {
            "specversion": "1.0",
            "id": self.fresh_id(),
            "source": source,
            "type": PREFIX + type_,
            "subject": subject,
            "time": self.moment(self.random.choice(self.days)),
            "data": self.data(type_, subject),
        }
        return Delivery(publisher, event, self.received)

    def fresh_id(self) -> str:
        self.made += 1
        return f"a-{self.made}"

    def moment(self, day: date) -> str:
        """A moment of that local day, often close to midnight, written in some offset, with or without a fraction."""
        clock = self.random.choice([*CLOCKS, time(self.random.randrange(24), self.random.randrange(60))])
        local = datetime.combine(day, clock, ZoneInfo(CENTRE_ZONE))
        written = local.astimezone(timezone(timedelta(hours=self.random.choice(OFFSETS)))).isoformat()
        text = written[:19] + self.random.choice(FRACTIONS) + written[19:]
        return text.replace("+00:00", "Z") if self.random.random() < 0.5 else text

    def data(self, type_: str, subject: str) -> dict[str, Any]:
        data: dict[str, Any] = {}
        needs = NEEDS[type_]
        if "account" in needs:
            data |= self._account(type_, subject)
        if type_.startswith("qa."):
            data["platform"] = self.random.choice(["zhihu", "wukong"])
        if "counterpart" in needs:
            near = self.people[: max(4, len(self.people) // 4)]  # few people, so that pairs fill up
            data["counterpart"] = self.random.choice([person for person in near if person != subject])
        if "form" in needs:
            data["form"] = self.random.choice(FORMS)
        if "campaign" in needs:
            data["campaign"] = f"campaign-{self.random.randrange(3)}"
        for field in ("partner", "region", "client", "url"):
            if field in needs:
                data[field] = f"{field}-{self.random.randrange(5)}"
        return data | self._extras(type_)

    def _extras(self, type_: str) -> dict[str, Any]:
        data: dict[str, Any] = {}
        quantity = self._quantity(type_)
        if quantity is not None:
            data["quantity"] = quantity
        if self.random.random() < 0.3:
            data["on_topic"] = self.random.choice([True, False])
        if self.random.random() < 0.2:
            data |= {"title": f"标题 {self.random.randrange(100)}", "reach": self.random.randrange(1000)}
        return data

    def _quantity(self, type_: str) -> int | None:
        if type_ == "email.sent":
            return self.random.choice([1, 250, 3000, 9999])
        return self.random.choice([None, None, 1, 2, 5, 17, 40])

    def _account(self, type_: str, subject: str) -> dict[str, str]:
        """Mostly one's own, sometimes anybody's, rarely one that nobody will ever know."""
        word = type_.split(".")[0]
        platform = {"forum": self.random.choice(FORUMS), "publishing": CLIENT_PLATFORM, "hosting": CLIENT_PLATFORM}.get(
            word, word
        )
        if word == "encyclopedia" and self.random.random() < 0.2:
            platform = "wiki"
        known = self.accounts.get(platform, [])
        own = [entry for entry in known if entry["owner"] == subject]
        entry = self.random.choice(own if own and self.random.random() < 0.75 else known) if known else None
        ghost = entry is None or self.random.random() < 0.01
        handle = "nobody-knows" if ghost or entry is None else str(entry["handle"])
        return {"account": handle} if platform == word else {"account": handle, "platform": platform}


def copy_of(event: Event, **changes: Any) -> Event:
    """The event with some attributes changed; `data` is merged field by field."""
    data = {**event.get("data", {}), **changes.pop("data", {})}
    return {**event, **changes, "data": data}
