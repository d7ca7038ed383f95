"""The clock and random ids: read here, at the edge, and nowhere else, so that decisions stay pure."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds of a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def new_id() -> str:
    """Return a fresh random id: 32 hex digits."""
    return uuid.uuid4().hex
