"""What applying a file would change: the events of one decision, and the same by field for people to read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Literal

from pydantic import BaseModel

from contracts.org import OrgEvent
from services.kernel.errors import Refusal
from services.org.decisions import decide
from services.org.domain import (
    Account,
    ChangeAbsences,
    ChangeMemberships,
    ChangeRoles,
    Command,
    DefinePost,
    DefineUnit,
    Organisation,
    Person,
    Post,
    Publisher,
    RegisterAccount,
    RegisterPerson,
    RegisterPublisher,
    Unit,
    evolve,
)
from services.org.importing import (
    AccountEntry,
    InvalidFile,
    OrganisationFile,
    PersonEntry,
    PublisherEntry,
    UnitEntry,
)

Kind = Literal["unit", "post", "person", "account", "publisher"]


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one thing. `old` None: it is added; for lists what is added and removed stands in both."""

    kind: Kind
    id: str
    action: Literal["add", "change"]
    field: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Plan:
    """The decision that a file asks for. Nothing to do: no events."""

    events: list[OrgEvent] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def summary(self) -> dict[str, dict[str, int]]:
        """Return kind -> {"add": things, "change": things}."""
        seen: dict[str, dict[str, set[str]]] = {}
        for change in self.changes:
            seen.setdefault(change.kind, {}).setdefault(change.action, set()).add(change.id)
        return {kind: {action: len(ids) for action, ids in actions.items()} for kind, actions in seen.items()}


def plan(current: Organisation, file: OrganisationFile, reason: str | None = None) -> Plan:
    """Return what makes `current` what the file says. Raises InvalidFile with every error found."""
    errors: list[dict[str, Any]] = []
    events: list[OrgEvent] = []
    now = current

    def stage(commands: Iterable[tuple[str, Command]]) -> None:
        """Decide each command on the organisation as the stages before have left it."""
        nonlocal now
        decided: list[OrgEvent] = []
        for place, command in commands:
            try:
                decided += decide(now, command)
            except Refusal as refusal:
                errors.append(_error(place, refusal))
        events.extend(decided)
        now = evolve(now, decided)

    for entry in _parents_first(file.units):
        stage([(f"units.{entry.unit}", DefineUnit(_unit(current, entry)))])
    stage((f"posts.{entry.post}", DefinePost(Post(**entry.model_dump()))) for entry in file.posts)
    names = [(f"people.{entry.person}", _name(current, entry)) for entry in file.people]
    stage((place, command) for place, command in names if command is not None)
    known = [entry for entry in file.people if entry.person in now.people]
    stage(_of_people(known, reason))
    stage((f"accounts.{e.platform}/{e.handle}", RegisterAccount(_account(current, e))) for e in file.accounts)
    for entry_ in file.publishers:
        stage([(f"publishers.{entry_.publisher}", RegisterPublisher(_publisher(current, entry_)))])
    if errors:
        raise InvalidFile(errors)
    return Plan(events, _changes(current, now))


def _error(place: str, refusal: Refusal) -> dict[str, Any]:
    return {
        "code": refusal.code,
        "field": f"{place}.{refusal.field}" if refusal.field else place,
        "detail": f"{place}: {refusal.detail}",
        "remedy": refusal.remedy,
    }


def _parents_first(units: Sequence[UnitEntry]) -> list[UnitEntry]:
    """Units in an order in which a parent comes before its children, however the file lists them."""
    named = {entry.unit: entry for entry in units}
    ordered: dict[str, UnitEntry] = {}

    def visit(entry: UnitEntry, above: frozenset[str]) -> None:
        if entry.unit in ordered:
            return
        parent = named.get(entry.parent or "")
        if parent is not None and parent.unit not in above:
            visit(parent, above | {entry.unit})
        ordered[entry.unit] = entry

    for entry in units:
        visit(entry, frozenset({entry.unit}))
    return list(ordered.values())


def _unit(current: Organisation, entry: UnitEntry) -> Unit:
    known = current.units.get(entry.unit)
    return Unit(**entry.model_dump(), retired=known.retired if known else None)


def _name(current: Organisation, entry: PersonEntry) -> Command | None:
    if entry.name is None and entry.person in current.people:
        return None
    return RegisterPerson(entry.person, entry.name or "")


def _of_people(entries: Sequence[PersonEntry], reason: str | None) -> Iterable[tuple[str, Command]]:
    for entry in entries:
        if entry.memberships is not None:
            yield f"people.{entry.person}", ChangeMemberships(entry.person, tuple(entry.memberships), reason)
    for entry in entries:
        if entry.absences is not None:
            yield f"people.{entry.person}", ChangeAbsences(entry.person, tuple(entry.absences), reason)
    for entry in entries:
        if entry.roles is not None:
            yield f"people.{entry.person}", ChangeRoles(entry.person, tuple(entry.roles))


def _account(current: Organisation, entry: AccountEntry) -> Account:
    known = current.accounts.get((entry.platform, entry.handle)) or Account(entry.platform, entry.handle)
    said = entry.model_fields_set
    return Account(
        entry.platform,
        entry.handle,
        entry.owner if "owner" in said else known.owner,
        entry.client if "client" in said else known.client,
        tuple(entry.registered) if entry.registered is not None else known.registered,
        tuple(entry.verified) if entry.verified is not None else known.verified,
    )


def _publisher(current: Organisation, entry: PublisherEntry) -> Publisher:
    known = current.publishers.get(entry.publisher) or Publisher(entry.publisher)
    return Publisher(
        entry.publisher,
        entry.title if entry.title is not None else known.title,
        tuple(entry.types) if entry.types is not None else known.types,
        tuple(entry.sources) if entry.sources is not None else known.sources,
        tuple(entry.contexts) if entry.contexts is not None else known.contexts,
    )


def _changes(before: Organisation, after: Organisation) -> list[Change]:
    changes: list[Change] = []
    kinds: list[tuple[Kind, Any, Any, Callable[[Any], str]]] = [
        ("unit", before.units, after.units, str),
        ("post", before.posts, after.posts, str),
        ("person", before.people, after.people, str),
        ("account", before.accounts, after.accounts, "/".join),
        ("publisher", before.publishers, after.publishers, str),
    ]
    for kind, old, new, text in kinds:
        for key, value in new.items():
            if old.get(key) is not value:
                changes += compare(kind, text(key), old.get(key), value)
    return changes


def compare(kind: Kind, key: str, old: Unit | Post | Person | Account | Publisher | None, new: Any) -> list[Change]:
    """Return the fields in which two states of one thing differ; of lists the items taken away and added."""
    before = _plain(old) if old is not None else {}
    changes = []
    for name, value in _plain(new).items():
        was = before.get(name)
        if value == was or (old is None and value in (None, [], "", False)):
            continue
        if isinstance(value, list) and old is not None:
            earlier = was or []
            was, value = [i for i in earlier if i not in value], [i for i in value if i not in earlier]
        changes.append(Change(kind, key, "add" if old is None else "change", name, was, value))
    return changes


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item) for key, item in asdict(value).items()}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
