"""The envelope: CloudEvents 1.0 in JSON, and the headers that a ledger commit travels with.

A commit is one decision: 1..n events, one number, one hash. On the wire it is one message whose body is a CloudEvents
JSON batch (compressed when large) and whose headers carry what chains it to the commit before.
Sources: CloudEvents 1.0.2 (JSON format, batch mode), W3C Trace Context.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

M = TypeVar("M", bound=BaseModel)

SPEC_VERSION: Final = "1.0"
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"
EVENT_CONTENT_TYPE = "application/cloudevents+json"

HEADER_LEDGER = "Opsledger-Ledger"  # ledger id: "<name>/<instance>", e.g. "activity.0/5f0c9a1e"
HEADER_EPOCH = "Opsledger-Epoch"  # 1 until a restore to an earlier position starts the next
HEADER_NUMBER = "Opsledger-Number"  # the commit's number = the message's stream sequence
HEADER_PREVIOUS = "Opsledger-Previous"  # hex SHA-256 of the commit before
HEADER_HASH = "Opsledger-Hash"  # hex SHA-256 of this commit
HEADER_ENCODING = "Opsledger-Encoding"  # "identity" | "lz4" (LZ4 frame)
HEADER_BODY = "Opsledger-Body"  # "inline" | "reference": fetch it from the owner's /v1/ledger
HEADER_META = "Opsledger-Meta"  # the commit's metadata, ASCII JSON, part of what is hashed
HEADER_TRACE = "traceparent"


class CloudEvent(BaseModel):
    """One CloudEvents 1.0 event in JSON format; extension attributes are kept."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"] = SPEC_VERSION
    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    type: str = Field(min_length=1)
    subject: str | None = None
    time: datetime | None = None
    datacontenttype: str | None = None
    data: dict[str, Any] | None = None


class CommitMeta(BaseModel):
    """Who decided, when, on what grounds. Part of the hashed commit; holds no secrets and no personal data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recorded_at: datetime
    principal: str = "system"
    command_scope: str | None = None  # principal + route of an idempotent command
    command_key: str | None = None
    request_hash: str | None = None  # hex SHA-256 of the request body
    rests_on: dict[str, int] = Field(default_factory=dict)  # ledger name -> position that the decision had read
    rests_on_epochs: dict[str, int] | None = None  # the epochs of those positions, where later than 1
    reason: str | None = None
    traceparent: str | None = None


def read_as(model: type[M], raw: bytes) -> M:
    """Return JSON that somebody else wrote as a model, without the fields that only a later version of it has.

    Who writes constructs the model, which refuses a field it does not know. Raises pydantic.ValidationError.
    """
    return model.model_validate_json(raw, extra="ignore")


def genesis_hash(ledger_id: str) -> bytes:
    """Return the 32-byte hash that commit 1 names as its previous one."""
    return hashlib.sha256(b"opsledger genesis\0" + ledger_id.encode()).digest()


def commit_hash(ledger_id: str, number: int, previous: bytes, meta: bytes, body: bytes) -> bytes:
    """Return the 32-byte SHA-256 of a commit over length-prefixed fields.

    `meta` and `body` are the stored bytes (`body` as compressed), so that nothing has to be decoded to check a chain.
    """
    digest = hashlib.sha256()
    for part in (ledger_id.encode(), number.to_bytes(8, "big"), previous, meta, body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def identity_key(source: str, event_id: str) -> bytes:
    """Return the 16-byte key of (source, id): truncated SHA-256 over the length-prefixed source and the id."""
    raw = source.encode()
    return hashlib.sha256(len(raw).to_bytes(4, "big") + raw + event_id.encode()).digest()[:16]
