"""May an event stand? Permission, catalogue and time, in this order, on frozen data.

Structure comes before (`structure`), identity too (`decision`). Sources: handbook, "Readings: Intake, Voids, Time,
Small print". Nothing here reads a clock or a table.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from contracts.activity import SYSTEM_SOURCE
from services.activity.structure import VOID_NAME, Candidate
from services.kernel.wire import Rejected

FUTURE = timedelta(minutes=5)

Identity = tuple[Literal["person", "counterpart", "account"], str, str]  # kind, platform ("" for people), name


@dataclass(frozen=True, slots=True)
class ActivityType:
    """A catalogue entry, as intake needs it."""

    name: str
    needs: tuple[str, ...]
    default_platform: str | None = None
    account_must_be_known: bool = False
    retired: bool = False
    counterpart_must_be_known: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "counterpart_must_be_known", "counterpart" in self.needs)


Catalogue = Mapping[str, ActivityType]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a sender may send. `types` / `subjects` None = any; `sources` are the names it may speak in."""

    principal: str
    sources: frozenset[str]
    types: frozenset[str] | None = None
    subjects: frozenset[str] | None = None
    void_any: bool = False  # an entitled person's own command: any target, in the system's name
    publisher: str = field(default="")

    def __post_init__(self) -> None:
        if not self.publisher:
            object.__setattr__(self, "publisher", self.principal)


def permission_flaw(event: Candidate, grant: Grant) -> Rejected | None:
    """A sender may send only what it is allowed to, only in its own name, and void only what is its own."""
    if event.source not in grant.sources:
        return Rejected(
            "source_not_allowed",
            f"{grant.principal} may not send as {event.source!r}",
            "source",
            f"Send as one of: {', '.join(sorted(grant.sources)) or '(none)'}.",
        )
    if event.void is not None:
        return _void_flaw(event, grant)
    if grant.types is not None and event.name not in grant.types:
        return Rejected(
            "type_not_allowed",
            f"{grant.principal} may not send {event.name}",
            "type",
            "Ask an operator to add the type to what this publisher may send.",
        )
    if grant.subjects is not None and event.subject not in grant.subjects:
        return Rejected(
            "subject_not_allowed",
            f"{grant.principal} may not record for {event.subject}",
            "subject",
            "Record your own activities, or those of the people you lead.",
        )
    return None


def _void_flaw(event: Candidate, grant: Grant) -> Rejected | None:
    """Allowed where the void's source is the target's; entitled people's voids come through their own command."""
    own = event.void is not None and event.void.target.source == event.source
    if grant.void_any or (own and event.source != SYSTEM_SOURCE):
        return None
    return Rejected(
        "void_not_allowed",
        "only the target's own source or a person with the right may void it",
        "data.target.source",
        "Send the void from the target's source, or have an entitled person void it.",
    )


def catalogue_flaw(event: Candidate, catalogue: Catalogue) -> Rejected | None:
    """The type is in the catalogue, its needs are there and not empty, and nobody is his own counterpart."""
    if event.name == VOID_NAME:
        if not event.void or not event.void.reason.strip():
            return Rejected("need_missing", "a void needs a reason", "data.reason", "Say why in data.reason.")
        return None
    entry = catalogue.get(event.name)
    if entry is None or entry.retired:
        return Rejected(
            "unknown_type",
            f"{event.name.removeprefix('?')!r} is not a type of the catalogue",
            "type",
            "Use a type of GET /v1/catalogue, or have it added there.",
        )
    data = event.data
    for need in entry.needs:
        value = data.get(need)
        if (value.isspace() or not value) if type(value) is str else is_empty(value):
            return Rejected("need_missing", f"{event.name} needs {need}", f"data.{need}", f"Send data.{need}.")
    counterpart = event.fields.counterpart
    if counterpart is not None and counterpart == event.subject:
        return Rejected(
            "counterpart_is_subject",
            "the counterpart is the subject",
            "data.counterpart",
            "Name the other person of the pair.",
        )
    return None


def is_empty(value: Any) -> bool:
    """Whether a needed field counts as absent: nothing, blank text, an empty list or object. Zero and false do not."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value == [] or value == {}


def time_flaw(event: Candidate, now: datetime) -> Rejected | None:
    """Any age is accepted; the future by at most five minutes."""
    if event.at - now > FUTURE:
        return Rejected(
            "time_in_future",
            "the event is more than 5 minutes in the future",
            "time",
            "Check the sender's clock and offset; send it when it has happened.",
        )
    return None


def identities_of(event: Candidate, entry: ActivityType) -> list[Identity]:
    """Who and what must be on record: the subject, and the counterpart and account where the type needs them."""
    wanted: list[Identity] = [("person", "", event.subject)]
    fields = event.fields
    if entry.counterpart_must_be_known and fields.counterpart:
        wanted.append(("counterpart", "", fields.counterpart))
    if entry.account_must_be_known and fields.account:
        wanted.append(("account", platform_of(event, entry), fields.account))
    return wanted


def platform_of(event: Candidate, entry: ActivityType | None) -> str:
    """Return the platform: as sent, else the type's default word, else the first word of the type."""
    return event.fields.platform or (entry and entry.default_platform) or event.name.partition(".")[0]


def shard_of(subject: str, shards: int) -> int:
    """Return the shard that a person's activities belong to; the same for ever."""
    return zlib.crc32(subject.encode()) % shards if shards > 1 else 0
