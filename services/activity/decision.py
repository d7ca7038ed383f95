"""What becomes of a batch of candidates: recorded, duplicate, held, voided or rejected, decided on frozen knowledge.

Pure: the lines that exist already, the waiting voids, the catalogue, who is known and the moment come in; new lines,
changes, ledger events and results come out. `intake` reads the one and writes the other in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from services.activity import facts
from services.activity.facts import AWAITED, HELD, RECORDED, VOID, VOIDED, Reason, Ref, Row
from services.activity.rules import (
    ActivityType,
    Catalogue,
    Grant,
    Identity,
    catalogue_flaw,
    identities_of,
    permission_flaw,
    platform_of,
    shard_of,
    time_flaw,
)
from services.activity.structure import Candidate
from services.kernel.outcomes import Result
from services.kernel.wire import Rejected


class Known(Protocol):
    """Who and what org has on record, as far as it has been looked up."""

    people: set[str]
    accounts: set[tuple[str, str]]

    def knows(self, identity: Identity) -> bool: ...


@dataclass(slots=True)
class Waiting:
    """A void that came before its target."""

    target_key: bytes
    target: Ref
    reason: str
    by: str
    void: Ref


@dataclass(slots=True)
class Held:
    """A held event with what it waits for; `event` is enough to record it later."""

    row: Row
    event: Candidate
    unknown: list[Identity]
    reasons: list[Reason]


@dataclass(slots=True)
class Unit:
    """Ledger events that must stand in one commit, and the lines that refer to it."""

    shard: int
    events: list[bytes]
    recorded: list[Row] = field(default_factory=list)
    held: list[Row] = field(default_factory=list)
    voided: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Decision:
    """Everything that a batch changes."""

    results: list[Result] = field(default_factory=list)
    places: list[Row | None] = field(default_factory=list)  # the line whose commit a result names
    new: dict[bytes, Row] = field(default_factory=dict)
    replaced: list[bytes] = field(default_factory=list)  # placeholders whose event has come
    voided: dict[bytes, Row] = field(default_factory=dict)  # existing lines that a void took back
    released: list[bytes] = field(default_factory=list)  # holds that a void ended
    held: dict[bytes, Held] = field(default_factory=dict)
    waiting: dict[bytes, Waiting] = field(default_factory=dict)
    arrived: list[bytes] = field(default_factory=list)  # waiting voids that met their target
    plain: dict[int, tuple[list[bytes], list[Row]]] = field(default_factory=dict)  # shard -> what is just recorded
    units: list[Unit] = field(default_factory=list)
    rejected: list[tuple[int, Rejected]] = field(default_factory=list)
    unknown: set[Identity] = field(default_factory=set)  # what was taken to be unknown, whatever became of the event


class Decider:
    """Decides one candidate after the other; later ones see what earlier ones of the batch did."""

    def __init__(
        self,
        lines: dict[bytes, Row],
        waiting: dict[bytes, Waiting],
        catalogue: Catalogue,
        known: Known,
        now: datetime,
        shards: int,
    ) -> None:
        self.lines = lines
        self.waiting = waiting
        self.catalogue = catalogue
        self.known = known
        self.now = now
        self.shards = shards
        self.done = Decision()

    def decide(self, index: int, event: Candidate | Rejected, grant: Grant, corrects: Ref | None = None) -> None:
        """Decide one event of a request."""
        if not isinstance(event, Candidate):  # asked this way round: the exact class is the fast answer
            self._reject(index, event)
            return
        line = self.lines.get(event.key)
        if line is not None and line.state != AWAITED:
            self._again(index, event, line)
            return
        flaw = permission_flaw(event, grant) or catalogue_flaw(event, self.catalogue) or time_flaw(event, self.now)
        if flaw is not None:
            flaw.source, flaw.id = event.source, event.id
            self._reject(index, flaw)
        elif event.void is not None:
            self._void(index, event, grant.principal)
        else:
            self._stand(index, event, grant.publisher, corrects)

    def _answer(self, index: int, row: Row, outcome: str, code: str | None = None) -> None:
        self.done.results.append(Result(index, row.source, row.id, outcome, code))
        self.done.places.append(row)

    def _reject(self, index: int, flaw: Rejected) -> None:
        self.done.results.append(
            Result(index, flaw.source, flaw.id, "rejected", flaw.code, flaw.field, flaw.detail, flaw.remedy)
        )
        self.done.places.append(None)
        self.done.rejected.append((index, flaw))

    def _again(self, index: int, event: Candidate, line: Row) -> None:
        if line.content == event.content:
            code = {HELD: "held", VOIDED: "voided"}.get(line.state)
            self._answer(index, line, "duplicate", code)
            return
        flaw = Rejected(
            "id_conflict",
            "another event stands under this source and id",
            "id",
            "Send it under a new id; to correct what stands, void it and send the right event.",
            event.source,
            event.id,
        )
        self._reject(index, flaw)

    def _enter(self, event: Candidate, row: Row) -> Waiting | None:
        """Add the line; return the void that has been waiting for it."""
        if event.key in self.lines and event.key not in self.done.new:
            self.done.replaced.append(event.key)
        self.lines[event.key] = self.done.new[event.key] = row
        waiting = self.waiting.pop(event.key, None)
        if waiting is not None and self.done.waiting.pop(event.key, None) is None:
            self.done.arrived.append(event.key)
        return waiting

    def _stand(self, index: int, event: Candidate, publisher: str, corrects: Ref | None) -> None:
        entry = self.catalogue[event.name]
        unknown = self._unknown(event, entry)
        shard = shard_of(event.subject, self.shards)
        row = facts.row_of(event, entry, HELD if unknown else RECORDED, shard, publisher)
        if not unknown and corrects is None and event.key not in self.lines:
            events, rows = self.done.plain.get(shard) or self.done.plain.setdefault(shard, ([], []))
            events.append(facts.recorded(event, publisher, self.now))
            rows.append(row)
            self.lines[event.key] = self.done.new[event.key] = row
            self._answer(index, row, "recorded")
            return
        self._stand_with_others(index, event, row, unknown, corrects)

    def _stand_with_others(
        self, index: int, event: Candidate, row: Row, unknown: list[Identity], corrects: Ref | None
    ) -> None:
        """Enter an event that is held, corrects another, or has a void waiting for it."""
        unit = Unit(row.shard, [])
        reasons = [reason_of(who) for who in unknown]
        if unknown:
            self.done.unknown.update(unknown)
            unit.events.append(facts.held(event, row.publisher, self.now, reasons))
            unit.held.append(row)
        else:
            unit.events.append(facts.recorded(event, row.publisher, self.now, corrects=corrects))
            unit.recorded.append(row)
        self.done.units.append(unit)
        waiting = self._enter(event, row)
        if waiting is not None:
            self._take_back(unit, row, waiting.reason, waiting.by, waiting.void, None)
            self._answer(index, row, "recorded", "voided")
        elif unknown:
            self.done.held[event.key] = Held(row, event, unknown, reasons)
            self._answer(index, row, "held", reasons[0].code)
        else:
            self._answer(index, row, "recorded")

    def _unknown(self, event: Candidate, entry: ActivityType) -> list[Identity]:
        """Return what org has not on record; the common case without making a list of what to ask."""
        known = self.known
        if event.subject in known.people and not entry.counterpart_must_be_known:
            if not entry.account_must_be_known or event.fields.account is None:
                return []
            if (platform_of(event, entry), event.fields.account) in known.accounts:
                return []
        return [who for who in identities_of(event, entry) if not known.knows(who)]

    def _take_back(self, unit: Unit, row: Row, reason: str, by: str, void: Ref, content: bytes | None) -> None:
        """Let a void take effect on a line that was recorded or held."""
        counted = facts.counted_of(row) if row.state == RECORDED else None
        unit.events.append(
            facts.voided(row.key.hex(), self.now, Ref(row.source, row.id), reason, by, void, counted, content)
        )
        unit.voided.append(row)
        if row.state == HELD and self.done.held.pop(row.key, None) is None and row.key not in self.done.new:
            self.done.released.append(row.key)
        row.state = VOIDED
        if row.key not in self.done.new:
            self.done.voided[row.key] = row

    def _void(self, index: int, event: Candidate, by: str) -> None:
        if event.void is None or event.target_key is None:
            raise ValueError("not a void")
        target = self.lines.get(event.target_key)
        shard = target.shard if target is not None else shard_of(event.target_key.hex(), self.shards)
        row = facts.row_of(event, None, VOID, shard, by)
        self._enter(event, row)  # a void that waited for this one does nothing
        unit = Unit(shard, [], recorded=[row])
        self.done.units.append(unit)
        sought, own = Ref(event.void.target.source, event.void.target.id), Ref(event.source, event.id)
        reason = event.void.reason
        target = self.lines.get(event.target_key)
        if target is None or target.state == AWAITED:
            if target is None:
                line = facts.placeholder(event.target_key, sought.source, sought.id, shard, by)
                self.lines[event.target_key] = self.done.new[event.target_key] = line
                waiting = Waiting(event.target_key, sought, reason, by, own)
                self.waiting[event.target_key] = self.done.waiting[event.target_key] = waiting
            unit.events.append(facts.void_awaited(event.key.hex(), self.now, sought, reason, by, own, event.content))
            self._answer(index, row, "recorded", "target_awaited")
        elif target.state in (RECORDED, HELD):
            self._take_back(unit, target, reason, by, own, event.content)
            self._answer(index, row, "recorded")
        else:
            unit.events.append(facts.voided(event.key.hex(), self.now, sought, reason, by, own, None, event.content))
            self._answer(index, row, "recorded", "nothing_to_void" if target.state == VOID else "already_voided")


def reason_of(identity: Identity) -> Reason:
    """Return the hold reason of an identity that is not on record."""
    kind, platform, name = identity
    return Reason(f"unknown_{kind}", f"{platform}/{name}" if kind == "account" else name)
