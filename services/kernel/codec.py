"""Commits and events as bytes: what is stored is what is hashed and what travels.

A body is a CloudEvents JSON batch, LZ4-framed when that pays. Events are decoded to an envelope whose `data` stays raw,
so that a reader decodes only what it knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import lz4.frame
import msgspec
from pydantic import BaseModel

from contracts.envelope import (
    HEADER_BODY,
    HEADER_ENCODING,
    HEADER_EPOCH,
    HEADER_HASH,
    HEADER_LEDGER,
    HEADER_META,
    HEADER_NUMBER,
    HEADER_PREVIOUS,
    commit_hash,
    read_as,
)

M = TypeVar("M", bound=BaseModel)
Model = type[M]

COMPRESS_FROM = 1024  # bytes; below it LZ4 framing costs more than it saves


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A ledger event as decoded from a body; `data` is its JSON, still encoded."""

    id: str
    source: str
    type: str
    data: msgspec.Raw
    subject: str | None = None
    time: datetime | None = None
    aggregate: str | None = None
    aggregateversion: int | None = None

    def read(self, model: Model[M]) -> M:
        """Return `data` as a contract event; fields of a later version are left out. Raises ValidationError."""
        return read_as(model, bytes(self.data))


_decoder = msgspec.json.Decoder(list[Envelope])
_meta_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Commit:
    """One decision: its place in the chain and its stored bytes. `hash` and `previous` are 32 bytes."""

    ledger: str
    ledger_id: str
    epoch: int
    number: int
    previous: bytes
    hash: bytes
    meta: bytes
    encoding: str
    body: bytes
    only: tuple[int, ...] | None = field(default=None, compare=False)  # event positions, where some are left out

    @property
    def position(self) -> str:
        return f"{self.ledger}:{self.number}"

    def metadata(self) -> dict[str, Any]:
        return _meta_decoder.decode(self.meta)

    def events(self) -> list[Envelope]:
        """Return the commit's events in order (only those of `only`, where set)."""
        events = decode_events(self.body, self.encoding)
        return events if self.only is None else [events[i] for i in self.only]

    def with_only(self, positions: tuple[int, ...]) -> Commit:
        return replace(self, only=positions)

    def is_intact(self) -> bool:
        """Whether the hash is that of the content."""
        return self.hash == commit_hash(self.ledger_id, self.number, self.previous, self.meta, self.body)


def encode_event(
    model: BaseModel,
    *,
    event_id: str,
    source: str,
    time: datetime,
    subject: str | None = None,
    aggregate: str | None = None,
    aggregate_version: int | None = None,
) -> bytes:
    """Return a contract event as one CloudEvents JSON document."""
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": model.event_type,  # type: ignore[attr-defined]
        "time": time,
        "datacontenttype": "application/json",
    }
    if subject is not None:
        document["subject"] = subject
    if aggregate is not None:
        document["aggregate"] = aggregate
        document["aggregateversion"] = aggregate_version
    document["data"] = msgspec.Raw(model.model_dump_json(exclude_defaults=False).encode())
    return msgspec.json.encode(document)


def encode_body(events: list[bytes]) -> tuple[bytes, str]:
    """Return (stored body, encoding) of encoded events."""
    raw = b"[" + b",".join(events) + b"]"
    if len(raw) < COMPRESS_FROM:
        return raw, "identity"
    return lz4.frame.compress(raw, store_size=True), "lz4"


def decode_body(body: bytes, encoding: str) -> bytes:
    """Return the JSON batch of a stored body."""
    return lz4.frame.decompress(body) if encoding == "lz4" else body


def decode_events(body: bytes, encoding: str) -> list[Envelope]:
    """Return the events of a stored body."""
    return _decoder.decode(decode_body(body, encoding))


def to_headers(commit: Commit, *, by_reference: bool) -> dict[str, str]:
    """Return the message headers of a commit."""
    headers = {
        HEADER_LEDGER: commit.ledger_id,
        HEADER_EPOCH: str(commit.epoch),
        HEADER_NUMBER: str(commit.number),
        HEADER_PREVIOUS: commit.previous.hex(),
        HEADER_HASH: commit.hash.hex(),
        HEADER_ENCODING: commit.encoding,
        HEADER_BODY: "reference" if by_reference else "inline",
        HEADER_META: commit.meta.decode("ascii"),
    }
    trace = commit.metadata().get("traceparent")
    if trace:
        headers["traceparent"] = trace
    return headers


def from_message(headers: dict[str, str], body: bytes) -> tuple[Commit, bool]:
    """Return the commit of a message and whether its body has to be fetched from the owner. KeyError: not a commit."""
    ledger_id = headers[HEADER_LEDGER]
    commit = Commit(
        ledger=ledger_id.partition("/")[0],
        ledger_id=ledger_id,
        epoch=int(headers[HEADER_EPOCH]),
        number=int(headers[HEADER_NUMBER]),
        previous=bytes.fromhex(headers[HEADER_PREVIOUS]),
        hash=bytes.fromhex(headers[HEADER_HASH]),
        meta=headers[HEADER_META].encode("ascii"),
        encoding=headers[HEADER_ENCODING],
        body=body,
    )
    return commit, headers[HEADER_BODY] == "reference"


def ascii_json(value: Any) -> bytes:
    """JSON that may stand in a message header: ASCII only, escapes for the rest."""
    text = msgspec.json.encode(value).decode()
    return "".join(c if " " <= c < "\x7f" else _escaped(c) for c in text).encode("ascii")


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))
