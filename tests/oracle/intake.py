"""Which of the delivered CloudEvents stand: the handbook's "Intake" and "Voids".

The deliveries are read in the order in which they were accepted. Held events need no bookkeeping here: the organisation
is given in its final state, so an event stands if its person, counterpart and account are on record in the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import rfc8785

from tests.oracle.catalogue import FIELD_KINDS, FORMS, NEEDS, PREFIX, VOIDED
from tests.oracle.days import CENTRE_ZONE, instant_of, local_day
from tests.oracle.organisation import Account, Organisation, is_verified, knows_account, knows_person

Event = dict[str, Any]
Identity = tuple[str, str]
Outcome = Literal["recorded", "duplicate", "conflict", "held", "rejected"]

CONSOLE = "/opsledger/console"  # "The sources of entitled people's own voids are the system's"


@dataclass(frozen=True)
class Delivery:
    """One event as one publisher sent it. `received` (aware) matters only for times in the future."""

    publisher: str
    event: Event
    received: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """`outcome` against the organisation given: "held" means that it still does not know somebody or something."""

    delivery: Delivery
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True)
class Activity:
    """An event that stands, with what the quotas ask of it."""

    source: str
    id: str
    type: str  # catalogue name, "forum.post"
    subject: str
    day: date
    platform: str
    account: Account | None
    quantity: int
    on_topic: bool
    form: str | None
    counterpart: str | None
    campaign: str | None
    verified: bool  # its account was registered and verified on the day


def verdicts(organisation: Organisation, deliveries: Iterable[Delivery], zone: str = CENTRE_ZONE) -> list[Verdict]:
    """The fate of every delivery, in the order given, as the final organisation sees it."""
    first: dict[Identity, Event] = {}
    result = []
    for delivery in deliveries:
        event = delivery.event
        flaw = _structure_flaw(event)
        if flaw is None:
            identity = (event["source"], event["id"])
            if identity in first:
                same = _content(event) == _content(first[identity])
                result.append(Verdict(delivery, "duplicate" if same else "conflict"))
                continue
            flaw = _permission_flaw(organisation, delivery) or _catalogue_flaw(event) or _time_flaw(delivery)
        if flaw is not None:  # "A rejected event does not use up its id: mended, it may come under it again."
            result.append(Verdict(delivery, "rejected", flaw))
            continue
        first[identity] = event  # "(source, id) is the identity; the first valid one stands"
        unknown = _unknown(organisation, event)
        result.append(Verdict(delivery, "held" if unknown else "recorded", unknown or ""))
    return result


def standing(organisation: Organisation, deliveries: Iterable[Delivery], zone: str = CENTRE_ZONE) -> list[Activity]:
    """The activities that count: accepted, known to org in the end, and not voided, "whether [the void] comes before or
    after its target"; "a void of a void does nothing, two voids are one"."""
    judged = verdicts(organisation, deliveries)
    accepted = [verdict.delivery.event for verdict in judged if verdict.outcome == "recorded"]
    voided: set[Identity] = set()
    for event in accepted:
        if event["type"] == VOIDED:
            target = event["data"]["target"]
            voided.add((target["source"], target["id"]))
    return [
        _activity(organisation, event, zone)
        for event in accepted
        if event["type"] != VOIDED and (event["source"], event["id"]) not in voided
    ]


def _structure_flaw(event: Any) -> str | None:
    if not isinstance(event, dict) or event.get("specversion") != "1.0":
        return "not CloudEvents 1.0"
    for name in ("id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            return f"not CloudEvents 1.0: {name}"
    if event.get("data") is not None and not isinstance(event["data"], dict):
        return "data is not an object"
    return None


def _content(event: Event) -> tuple[Any, ...]:
    """ "Content = type, subject, UTC instant, data as sent, in canonical JSON (RFC 8785)."""
    return event["type"], event.get("subject"), instant_of(event.get("time")), rfc8785.dumps(event.get("data"))


def _permission_flaw(organisation: Organisation, delivery: Delivery) -> str | None:
    """A publisher sends its allowed types, in its own name; a void only for a target of its own source.

    Publishers that the organisation does not list are not checked: scenarios that are not about permission omit them.
    """
    event = delivery.event
    listed = [entry for entry in organisation.get("publishers") or () if entry["publisher"] == delivery.publisher]
    for entry in listed:
        if event["source"] not in (entry.get("sources") or [delivery.publisher]):
            return "a source that is not the publisher's"
        name = event["type"].removeprefix(PREFIX)
        if "*" not in entry["types"] and name not in entry["types"]:
            return "a type that the publisher may not send"
    if event["type"] == VOIDED and event["source"] != CONSOLE:
        target = (event.get("data") or {}).get("target")
        if isinstance(target, dict) and target.get("source") != event["source"]:
            return "a void of another source's event"
    return None


def _catalogue_flaw(event: Event) -> str | None:
    data = event.get("data") or {}
    if event["type"] == VOIDED:
        return _void_flaw(data)
    name = event["type"].removeprefix(PREFIX)
    if not event["type"].startswith(PREFIX) or name not in NEEDS:
        return "unknown type"
    if not isinstance(event.get("subject"), str) or not event["subject"]:
        return "no subject"
    if data.get("counterpart") == event["subject"]:
        return "counterpart = subject"
    return _data_flaw(name, data)


def _data_flaw(name: str, data: dict[str, Any]) -> str | None:
    for field in NEEDS[name]:
        if data.get(field) is None or data[field] == "":
            return f"{name} needs {field}"
    for field, kind in FIELD_KINDS.items():
        if data.get(field) is not None and type(data[field]) is not kind:
            return f"{field} is of the wrong kind"
    if data.get("quantity") is not None and data["quantity"] < 1:
        return "quantity is not an integer >= 1"
    if data.get("form") is not None and data["form"] not in FORMS:
        return "form is not of the three"
    return None


def _void_flaw(data: dict[str, Any]) -> str | None:
    """ "A void may lack a subject, never a reason"."""
    target = data.get("target")
    if not isinstance(target, dict) or not target.get("source") or not target.get("id"):
        return "a void without a target"
    if not isinstance(data.get("reason"), str) or not data["reason"]:
        return "a void without a reason"
    return None


def _time_flaw(delivery: Delivery) -> str | None:
    instant = instant_of(delivery.event.get("time"))
    if instant is None:
        return "time absent or without offset"
    if delivery.received is not None and instant[0] > delivery.received + timedelta(minutes=5):
        return "more than 5 minutes in the future"
    return None


def _account_of(event: Event) -> tuple[str, Account | None]:
    """ "where `platform` is absent it is the first word of the type"."""
    data = event.get("data") or {}
    platform = data.get("platform") or event["type"].removeprefix(PREFIX).split(".")[0]
    handle = data.get("account")
    return platform, (platform, handle) if handle else None


def _unknown(organisation: Organisation, event: Event) -> str | None:
    """ "Held: the subject, the counterpart or the account that the type needs is not on record at any time"."""
    if event["type"] == VOIDED:
        return None
    needs = NEEDS[event["type"].removeprefix(PREFIX)]
    data = event.get("data") or {}
    if not knows_person(organisation, event["subject"]):
        return f"person {event['subject']}"
    if "counterpart" in needs and not knows_person(organisation, data["counterpart"]):
        return f"counterpart {data['counterpart']}"
    account = _account_of(event)[1]
    if "account" in needs and account is not None and not knows_account(organisation, account):
        return f"account {account[0]}/{account[1]}"
    return None


def _activity(organisation: Organisation, event: Event, zone: str) -> Activity:
    data = event.get("data") or {}
    instant = instant_of(event["time"])
    assert instant is not None
    day = local_day(instant[0], zone)
    platform, account = _account_of(event)
    return Activity(
        source=event["source"],
        id=event["id"],
        type=event["type"].removeprefix(PREFIX),
        subject=event["subject"],
        day=day,
        platform=platform,
        account=account,
        quantity=data.get("quantity") or 1,
        on_topic=data.get("on_topic") is not False,
        form=data.get("form"),
        counterpart=data.get("counterpart"),
        campaign=data.get("campaign"),
        verified=account is not None and is_verified(organisation, account, day),
    )
