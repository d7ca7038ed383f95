"""A small organisation and short ways to write events, for examples worked out by hand.

centre (centre) > promotion (department) > commercial, public-interest (bound groups), channel (not bound)
A, B in commercial; C in public-interest; D in channel; E directly in promotion. October 2026 has 31 days.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import count
from typing import Any

from tests.oracle.figures import expected
from tests.oracle.intake import Delivery
from tests.oracle.organisation import Organisation

OCTOBER = "2026-10"
PUBLISHER = "poster"
_numbers = count(1)


def unit(name: str, kind: str, parent: str | None, name_zh: str = "") -> dict[str, Any]:
    return {"unit": name, "kind": kind, "parent": parent, "name_zh": name_zh or name, "name_en": name}


def member(name: str, since: str = "2026-01-01", until: str | None = None) -> dict[str, Any]:
    return {"unit": name, "since": since, "until": until}


def person(number: str, *memberships: dict[str, Any], absences: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    return {
        "person": number,
        "name": number,
        "memberships": list(memberships),
        "absences": [{"since": since, "until": until} for since, until in absences],
    }


def account(
    platform: str,
    handle: str,
    owner: str | None = None,
    registered: tuple[str, str | None] = ("2026-01-01", None),
    verified: tuple[str, str | None] | None = None,
) -> dict[str, Any]:
    return {
        "platform": platform,
        "handle": handle,
        "owner": owner,
        "registered": [{"since": registered[0], "until": registered[1]}],
        "verified": [{"since": verified[0], "until": verified[1]}] if verified else [],
    }


def organisation(*accounts: dict[str, Any], people: tuple[dict[str, Any], ...] = ()) -> Organisation:
    """The five people above, each replaced by one of `people` under the same number, and these accounts."""
    usual = [
        person("A", member("commercial")),
        person("B", member("commercial")),
        person("C", member("public-interest")),
        person("D", member("channel")),
        person("E", member("promotion")),
    ]
    given = {entry["person"]: entry for entry in people}
    return {
        "units": [
            unit("centre", "centre", None),
            unit("promotion", "department", "centre"),
            unit("commercial", "group", "promotion", "商业组"),
            unit("public-interest", "group", "promotion", "公益组"),
            unit("channel", "group", "promotion", "渠道组"),
        ],
        "people": [given.pop(entry["person"], entry) for entry in usual] + list(given.values()),
        "accounts": list(accounts),
    }


def event(
    type_: str, subject: str | None, day: str = "2026-10-05", *, time: str | None = None, **data: Any
) -> dict[str, Any]:
    """One CloudEvent under a fresh id; `day` at noon in the centre's zone unless `time` says the moment."""
    made = {
        "specversion": "1.0",
        "id": f"e{next(_numbers)}",
        "source": PUBLISHER,
        "type": f"opsledger.activity.{type_}",
        "time": time or f"{day}T12:00:00+08:00",
        "data": data,
    }
    return made if subject is None else {**made, "subject": subject}


def void(target: dict[str, Any], day: str = "2026-10-06", source: str = PUBLISHER, **data: Any) -> dict[str, Any]:
    aim = {"source": target["source"], "id": target["id"]}
    return {**event("voided", None, day, target=aim, **{"reason": "mistaken", **data}), "source": source}


def sent(*events: dict[str, Any], publisher: str = PUBLISHER) -> list[Delivery]:
    return [Delivery(publisher, made) for made in events]


class Rows:
    """The rows of one period, to be asked as rows("H-26b", "person", "A")."""

    def __init__(self, org: Organisation, *events: dict[str, Any], period: str = OCTOBER) -> None:
        self.period = period
        self.rows = expected(org, sent(*events), period)

    def __call__(self, quota: str, scope: str, scope_id: str) -> tuple[Fraction | int, Fraction | int] | None:
        return self.rows.get((quota, scope, scope_id, self.period))  # type: ignore[arg-type]
