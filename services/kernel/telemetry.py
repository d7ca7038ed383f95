"""What a service tells about itself: JSON logs, Prometheus metrics, W3C trace context. No business content."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The trace context of the request or message being handled."""


def new_traceparent() -> str:
    """Return a fresh W3C trace context."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def continue_trace(header: str | None) -> str:
    """Return the trace context to work under: the caller's trace with a span of ours, or a fresh one."""
    match = _TRACEPARENT.match(header or "")
    if match is None or match[1] == "0" * 32 or match[2] == "0" * 16:
        return new_traceparent()
    return f"00-{match[1]}-{secrets.token_hex(8)}-{match[3]}"


def trace_id(header: str | None) -> str | None:
    """Return the 32 hex digits of the trace id, or None."""
    match = _TRACEPARENT.match(header or "")
    return match[1] if match else None


class JsonFormatter(logging.Formatter):
    """One JSON object a line; `extra` fields beside time, level, logger and message."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self.service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = trace_id(traceparent.get())
        if trace is not None:
            line["trace"] = trace
        line.update({key: value for key, value in record.__dict__.items() if key not in _STANDARD})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (default stderr) as JSON. Called once, by the process's main."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for noisy in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def counter(name: str, text: str, labels: Sequence[str] = (), registry: CollectorRegistry = REGISTRY) -> Counter:
    """Return the counter of that name, made on first use, so that several apps may live in one process."""
    found = registry._names_to_collectors.get(name)
    return found if isinstance(found, Counter) else Counter(name, text, labels, registry=registry)


def gauge(name: str, text: str, labels: Sequence[str] = (), registry: CollectorRegistry = REGISTRY) -> Gauge:
    """Return the gauge of that name, made on first use."""
    found = registry._names_to_collectors.get(name)
    return found if isinstance(found, Gauge) else Gauge(name, text, labels, registry=registry)


def histogram(name: str, text: str, labels: Sequence[str] = (), registry: CollectorRegistry = REGISTRY) -> Histogram:
    """Return the histogram of that name (seconds), made on first use."""
    found = registry._names_to_collectors.get(name)
    if isinstance(found, Histogram):
        return found
    buckets = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
    return Histogram(name, text, labels, registry=registry, buckets=buckets)
