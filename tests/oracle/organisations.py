"""Organisations for scenarios: people in every group of the handbook's chart, with all that happens to people."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.oracle.organisation import Organisation

# The units are the handbook pack's, because the policy that is loaded binds them by id.
PACK = Path(__file__).parents[2] / "deploy" / "handbook" / "organisation.yaml"

FORUMS = ("搜狐社区", "天涯论坛", "西祠胡同", "驴行网", "mop", "Douban", "douban")
CLIENT_PLATFORM = "toutiao"
LONG_AGO = date(2020, 1, 1)

PUBLISHERS: list[dict[str, Any]] = [
    {"publisher": "poster", "title": "Posting robot", "types": ["*"], "sources": ["poster", "/poster/backup"]},
    {"publisher": "crm", "title": "Customer relations", "types": ["*"], "sources": ["crm"]},
    {"publisher": "mailer", "title": "Bulk mailer", "types": ["email.sent", "seo.task"], "sources": ["mailer"]},
]


@dataclass(frozen=True)
class Made:
    initial: Organisation
    final: Organisation
    changes: list[tuple[dict[str, Any], str]]  # import documents from the initial to the final state, in any order


def span(since: date, until: date | None = None) -> dict[str, Any]:
    return {"since": since.isoformat(), "until": until.isoformat() if until else None}


class OrganisationMaker:
    def __init__(self, random: Random, people: int, days: list[date]) -> None:
        self.random = random
        self.count = max(people, 12)
        self.days = days
        self.accounts: list[dict[str, Any]] = []

    def make(self) -> Made:
        units: list[dict[str, Any]] = yaml.safe_load(PACK.read_text(encoding="utf-8"))["units"]
        groups = [unit["unit"] for unit in units if unit["kind"] == "group"]
        people = [self._person(number, groups) for number in range(self.count)]
        self._client_accounts()
        final: Organisation = {
            "units": units,
            "posts": [],
            "people": people,
            "accounts": self.accounts,
            "publishers": deepcopy(PUBLISHERS),
        }
        initial, changes = self._as_first_known(final)
        return Made(initial, final, changes)

    def _day(self) -> date:
        return self.random.choice(self.days)

    def _person(self, number: int, groups: list[str]) -> dict[str, Any]:
        """The first dozen are one of each kind; whoever comes after is drawn, most of them in the bound groups."""
        name = f"P{number + 1:03d}"
        bound = self.random.choice(["commercial", "public-interest"])
        drawn = self.random.choice([bound, bound, bound, self.random.choice(groups)])
        joined, middle = span(LONG_AGO), self._day()
        before, since = span(LONG_AGO, middle - timedelta(days=1)), span(middle)
        kinds: list[list[dict[str, Any]]] = [
            [{"unit": "commercial", **joined}],
            [{"unit": "public-interest", **joined}],
            [{"unit": "commercial", **since}],  # joins
            [{"unit": "public-interest", **span(LONG_AGO, middle)}],  # leaves
            [{"unit": "commercial", **before}, {"unit": "channel", **since}],  # moves out of the bound groups
            [{"unit": "public-interest", **before}, {"unit": "commercial", **since}],  # moves between them
            [{"unit": "channel", **joined}, {"unit": "commercial", **since}],  # in two at once
            [{"unit": "promotion", **joined}],  # directly in a department
            [{"unit": "centre", **joined}],
            [{"unit": "commercial", **span(LONG_AGO, middle)}, {"unit": "commercial", **span(middle + timedelta(5))}],
            [],  # known, and a member of nothing
            [{"unit": "service-desk", **joined}],
        ]
        memberships = kinds[number] if number < len(kinds) else [{"unit": drawn, **joined}]
        self._accounts_of(name)
        return {"person": name, "name": f"人员{number + 1}", "memberships": memberships, "absences": self._absences()}

    def _absences(self) -> list[dict[str, Any]]:
        """None, one, or two one after the other (org refuses overlapping ones); some reach beyond the month."""
        absences = []
        since = self._day()
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            until = since + timedelta(days=self.random.randint(0, 9))
            absences.append({**span(since, until), "kind": "leave"})
            since = until + timedelta(days=self.random.randint(1, 6))
        return absences

    def _accounts_of(self, owner: str) -> None:
        number = owner[1:]
        wanted = [("blog", 3), ("qq", 1), ("tieba", 1), ("weibo", 2), ("wechat", 1), ("encyclopedia", 1)]
        wanted += [(forum, 1) for forum in self.random.sample(FORUMS, 3)]
        for platform, most in wanted:
            for which in range(self.random.randint(1 if platform != "blog" else 0, most)):
                handle = self.random.choice([f"{platform}-{number}-{which}", f"号 {number}+{which}%"])
                self._account(platform, handle, owner)

    def _account(self, platform: str, handle: str, owner: str | None, client: str | None = None) -> None:
        first = self._day()
        registered = self.random.choice(
            [
                [span(LONG_AGO)],
                [span(LONG_AGO)],
                [span(first)],
                [span(LONG_AGO, first), span(first + timedelta(days=6))],
                [span(LONG_AGO, LONG_AGO + timedelta(days=30))],  # given up years ago, but known
            ]
        )
        verified: list[dict[str, Any]] = []
        if platform == "encyclopedia" or (platform == "blog" and self.random.random() < 0.5):
            since = self._day()
            until = since + timedelta(days=self.random.randint(0, 20))
            verified = self.random.choice([[span(LONG_AGO)], [span(since, until)], [span(since)], []])
        entry = {"platform": platform, "handle": handle, "owner": owner, "client": client}
        self.accounts.append({**entry, "registered": registered, "verified": verified})

    def _client_accounts(self) -> None:
        for number in range(3):
            self._account(CLIENT_PLATFORM, f"client-{number}", None, client=f"C{number}")
        self._account("wiki", "baike-elsewhere", "P001")  # an encyclopedia of another name
        self.accounts[-1] |= {"registered": [span(LONG_AGO)], "verified": [span(LONG_AGO)]}

    def _as_first_known(self, final: Organisation) -> tuple[Organisation, list[tuple[dict[str, Any], str]]]:
        """The organisation before its late changes, and those changes: newcomers and accounts made known late,
        transfers, absences and verifications known only after the days that they are about."""
        initial = deepcopy(final)
        late = {"P003"} | set(
            self.random.sample([p["person"] for p in final["people"][12:]], len(final["people"]) // 12)
        )
        initial["people"] = [person for person in initial["people"] if person["person"] not in late]
        changes = [(self._whole(final, number), "a person made known late") for number in sorted(late)]
        for person in initial["people"]:
            if person["person"] in ("P005", "P006"):  # known at first to have stayed where they were
                person["memberships"] = [{**person["memberships"][0], "until": None}]
                changes.append((self._whole(final, person["person"]), "a backdated transfer"))
            elif person["absences"] and self.random.random() < 0.5:
                person["absences"] = []
                changes.append((self._whole(final, person["person"]), "an absence made known late"))
        changes += self._late_accounts(initial, final, late)
        return initial, changes

    @staticmethod
    def _whole(final: Organisation, number: str) -> dict[str, Any]:
        return {"people": [deepcopy(person) for person in final["people"] if person["person"] == number]}

    def _late_accounts(
        self, initial: Organisation, final: Organisation, late: set[str]
    ) -> list[tuple[dict[str, Any], str]]:
        changes: list[tuple[dict[str, Any], str]] = []
        kept = []
        for entry, whole in zip(initial["accounts"], final["accounts"], strict=True):
            document = {"accounts": [deepcopy(whole)]}
            if entry["owner"] in late:  # comes together with its owner
                changes.append(({**self._whole(final, entry["owner"]), **document}, "a late person's account"))
            elif self.random.random() < 0.1:
                changes.append((document, "an account made known late"))
            else:
                if entry["verified"] and self.random.random() < 0.3:
                    entry["verified"] = []
                    changes.append((document, "a backdated verification"))
                kept.append(entry)
        initial["accounts"] = kept
        return changes
