"""The ledger: append-only commits with dense numbers and a hash chain, in the service's own database.

A `Work` is one decision inside a group's transaction; `Ledger` numbers what the works drafted, under the head's lock,
taken last and in ledger order. Must not know the broker: the relay carries what stands here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from pydantic import BaseModel

from contracts.envelope import CommitMeta, commit_hash, genesis_hash
from services.kernel.aggregates import write_aggregates
from services.kernel.clock import new_id, now
from services.kernel.codec import Envelope, ascii_json, decode_events, encode_body, encode_event
from services.kernel.database import Connection, Database
from services.kernel.errors import Refusal, Unavailable
from services.kernel.refs import Refs

Inline = Callable[[Connection, Sequence[tuple[str, BaseModel]]], Awaitable[None]]

DEFAULT_LIMIT = 512 * 1024  # bytes of a stored body that travel inline; the broker's max_payload is larger
META_LIMIT = 32 * 1024  # bytes of metadata: they travel as a header, and the broker takes 64 KiB of those

INSERT_COMMIT = """
INSERT INTO ledger_commit (ledger, number, ref, previous, hash, events, meta, encoding, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


@dataclass(slots=True)
class Draft:
    """A commit before it has a number."""

    ledger: str
    ref: int
    events: int
    body: bytes
    encoding: str
    work: Work


@dataclass(slots=True)
class Appended:
    """An event of an aggregate that a work appends, for the inline read model."""

    aggregate: str
    version: int
    model: BaseModel


class Ledger:
    """The commits of one context, in one or several shards."""

    def __init__(
        self,
        db: Database,
        context: str,
        *,
        shards: int = 1,
        sharded: bool = False,
        inline: Inline | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        self.db = db
        self.context = context
        self.source = f"/opsledger/{context}"
        self.names = [f"{context}.{shard}" for shard in range(shards)] if sharded else [context]
        self.inline = inline
        self.limit = limit
        self.refs = Refs()
        self.refusals: dict[str, Refusal] = {}  # ledger name -> why nothing may be appended at the moment
        self.doubts = 0  # how often the database has been doubted: an answer from before lifts no refusal
        self._listeners: list[Callable[[dict[str, int]], None]] = []
        db.on_restart(self.doubt)

    async def open(self) -> None:
        """Create the heads that are missing; a new head gets an identity of its own, so that no two chains fit."""
        async with self.db.tx() as conn:
            for name in self.names:
                ledger_id = f"{name}/{new_id()[:12]}"
                await conn.execute(
                    "INSERT INTO ledger_head (ledger, ledger_id, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    name, ledger_id, genesis_hash(ledger_id),
                )  # fmt: skip

    def on_commit(self, listener: Callable[[dict[str, int]], None]) -> None:
        """Call `listener` with the new positions after each transaction of this process that committed."""
        self._listeners.append(listener)

    def announce(self, positions: dict[str, int]) -> None:
        for listener in self._listeners:
            listener(positions)

    def doubt(self) -> None:
        """The database server has restarted, perhaps from an older state: compare before anything is appended."""
        self.doubts += 1
        self.refs.forget()
        for name in self.names:
            self.refusals.setdefault(name, Unavailable("ledger_not_yet_compared", f"{name}: compared after a restart"))
        self.announce(dict.fromkeys(self.names, 0))

    def check_writable(self) -> None:
        """Raise the standing refusal, if any."""
        for refusal in self.refusals.values():
            raise refusal

    async def heads(self) -> dict[str, int]:
        """Return ledger -> number of its last commit."""
        async with self.db.conn() as conn:
            rows = await conn.fetch("SELECT ledger, number FROM ledger_head WHERE ledger = ANY($1)", self.names)
        return {row["ledger"]: row["number"] for row in rows}

    async def write(self, conn: Connection, drafts: Sequence[Draft]) -> dict[int, tuple[str, int]]:
        """Number, chain and insert the drafts; return ref -> (ledger, number). Takes the heads' locks."""
        names = sorted({draft.ledger for draft in drafts})
        rows = await conn.fetch(
            "SELECT ledger, ledger_id, number, hash FROM ledger_head WHERE ledger = ANY($1) ORDER BY ledger FOR UPDATE",
            names,
        )
        heads = {row["ledger"]: (row["ledger_id"], row["number"], row["hash"]) for row in rows}
        placed: dict[int, tuple[str, int]] = {}
        records = []
        for draft in drafts:
            ledger_id, number, previous = heads[draft.ledger]
            number += 1
            meta = draft.work.meta_bytes()
            digest = commit_hash(ledger_id, number, previous, meta, draft.body)
            records.append(
                (draft.ledger, number, draft.ref, previous, digest, draft.events, meta, draft.encoding, draft.body)
            )
            heads[draft.ledger] = (ledger_id, number, digest)
            placed[draft.ref] = (draft.ledger, number)
        await conn.executemany(INSERT_COMMIT, records)
        for name in names:
            _, number, digest = heads[name]
            await conn.execute("UPDATE ledger_head SET number = $2, hash = $3 WHERE ledger = $1", name, number, digest)
        await conn.execute("SELECT pg_notify('ledger', $1)", ",".join(names))
        return placed


@dataclass(slots=True)
class Work:
    """One decision: what it reads, what it appends, and on whose behalf. Lives inside one savepoint."""

    ledger: Ledger
    conn: Connection
    principal: str = "system"
    now: datetime = field(default_factory=now)
    reason: str | None = None
    traceparent: str | None = None
    command: tuple[str, str, str] | None = None  # scope, key, request hash
    repeats: int | None = None  # ref of the decision that this one repeats
    earlier: dict[int, Draft] = field(default_factory=dict)  # by ref, of this transaction's decisions before this one
    _rests_on: dict[str, int] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)
    _models: list[bytes] = field(default_factory=list)
    _appended: list[Appended] = field(default_factory=list)
    _raw: list[Draft] = field(default_factory=list)
    _meta: bytes | None = None
    _ref: int | None = None

    async def load(self, aggregate: str) -> tuple[list[Envelope], int]:
        """Return the aggregate's events so far, oldest first, and its version (0: it does not exist)."""
        rows = await self.conn.fetch(
            "SELECT e.version, e.position, e.ref, c.body, c.encoding FROM aggregate_event e"
            " LEFT JOIN ledger_commit c USING (ref) WHERE e.aggregate = $1 ORDER BY e.version",
            aggregate,
        )
        events: list[Envelope] = []
        decoded: dict[bytes, list[Envelope]] = {}
        for row in rows:
            body, encoding = row["body"], row["encoding"]
            if body is None:  # it has no number yet: this transaction's commits are inserted at its end
                draft = self.earlier[row["ref"]]
                body, encoding = draft.body, draft.encoding
            if body not in decoded:
                decoded = {body: decode_events(body, encoding)}
            events.append(decoded[body][row["position"]])
        mine = [item for item in self._appended if item.aggregate == aggregate]
        version = rows[-1]["version"] if rows else 0
        for item in mine:
            data = msgspec.Raw(item.model.model_dump_json().encode())
            kind = str(item.model.event_type)  # type: ignore[attr-defined]
            events.append(Envelope(id="", source=self.ledger.source, type=kind, data=data, aggregate=aggregate))
            version = item.version
        return events, version

    async def version(self, aggregate: str) -> int:
        """Return the aggregate's version without loading it."""
        for item in reversed(self._appended):
            if item.aggregate == aggregate:
                return item.version
        return int(await self.conn.fetchval("SELECT version FROM aggregate WHERE id = $1", aggregate) or 0)

    def append(self, aggregate: str, expected: int, events: Iterable[BaseModel], subject: str | None = None) -> None:
        """Add events of an aggregate that is at version `expected` to this decision's one commit."""
        for version, model in enumerate(events, expected + 1):
            self._appended.append(Appended(aggregate, version, model))
            self._models.append(
                encode_event(
                    model,
                    event_id=new_id(),
                    source=self.ledger.source,
                    time=self.now,
                    subject=subject,
                    aggregate=aggregate,
                    aggregate_version=version,
                )
            )

    async def append_raw(self, shard: int, events: Sequence[bytes]) -> list[tuple[int, int]]:
        """Add encoded events to the shard's ledger, split into commits within the size limit.

        Returns (ref, count) per commit, in the order of the events. A single event beyond the limit is refused.
        """
        self.ledger.check_writable()
        name = self.ledger.names[shard]
        body, encoding = encode_body(list(events))
        if len(body) > self.ledger.limit:
            if len(events) == 1:
                raise Refusal("event_too_large", "one event is larger than a commit may be", status=413)
            half = len(events) // 2
            return [*await self.append_raw(shard, events[:half]), *await self.append_raw(shard, events[half:])]
        ref = await self.ledger.refs.take(self.conn)
        self._raw.append(Draft(name, ref, len(events), body, encoding, self))
        return [(ref, len(events))]

    def rests_on(self, positions: dict[str, int], epochs: dict[str, int] | None = None) -> None:
        """Record that this decision had read other ledgers up to these positions, in these epochs (default: 1)."""
        self._rests_on.update(positions)
        self._epochs.update({name: epoch for name, epoch in (epochs or {}).items() if name in positions and epoch > 1})

    def meta_bytes(self) -> bytes:
        if self._meta is None:
            scope, key, request_hash = self.command or (None, None, None)
            meta = CommitMeta(
                recorded_at=self.now,
                principal=self.principal,
                command_scope=scope,
                command_key=key,
                request_hash=request_hash,
                rests_on=self._rests_on,
                rests_on_epochs=self._epochs or None,
                reason=self.reason,
                traceparent=self.traceparent,
            )
            self._meta = ascii_json(meta.model_dump(mode="json", exclude_none=True))
            if len(self._meta) > META_LIMIT:
                raise Refusal(
                    "metadata_too_large",
                    f"a commit's metadata may have {META_LIMIT} bytes, not {len(self._meta)}",
                    status=413,
                    remedy="Give a shorter reason.",
                )
        return self._meta

    async def settle(self) -> list[Draft]:
        """Check and write the aggregates' versions and the inline read model; return this decision's drafts."""
        if self._appended:
            self.ledger.check_writable()
            self._ref = await self.ledger.refs.take(self.conn)
            await write_aggregates(self.conn, self._ref, [(a.aggregate, a.version) for a in self._appended])
            if self.ledger.inline is not None:
                await self.ledger.inline(self.conn, [(a.aggregate, a.model) for a in self._appended])
            body, encoding = encode_body(self._models)
            draft = Draft(self.ledger.names[0], self._ref, len(self._models), body, encoding, self)
            self._raw.append(draft)
        if self.command is not None:
            first = self._raw[0].ref if self._raw else None
            scope, key, _ = self.command
            await self.conn.execute("UPDATE command SET ref = $3 WHERE scope = $1 AND key = $2", scope, key, first)
        if self._raw:
            self.meta_bytes()  # its limit is this decision's refusal, not its group's failure
        return self._raw
