"""What is said of events that came in from outside: an outcome for each, over HTTP, NATS and in receipts alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from services.kernel.telemetry import trace_id, traceparent

encode = msgspec.json.Encoder().encode


class Result(msgspec.Struct, gc=False, omit_defaults=True):
    """The outcome of one event, in the order sent; `commit` is filled in once the commit has its number.

    `subject`: what the event became or went to, where its sender cannot know that.
    """

    index: int
    source: str | None
    id: str | None
    outcome: str
    code: str | None = None
    field: str | None = None
    detail: str | None = None
    remedy: str | None = None
    commit: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Results in the order sent (`Result`, or a context's own with more fields), and the position that includes all."""

    results: list[Any]
    position: str


class AnswerBody(msgspec.Struct, omit_defaults=True):
    """An answer as it goes out."""

    results: list[Any]
    position: str
    trace: str | None = None


class ReceiptBody(msgspec.Struct):
    """What became of one inbox message."""

    message: str
    results: list[Any]


def answer_bytes(answer: Answer) -> bytes:
    """Encode an answer as it goes out, over HTTP and NATS alike."""
    return encode(AnswerBody(answer.results, answer.position, trace_id(traceparent.get())))
