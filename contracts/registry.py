"""Every event class of every context, by its event type: the one list that generators, readers and tests share.

A new event is found here as soon as it stands in its context's union; a new context is one line.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel

from contracts.activity import ActivityEvent
from contracts.kpi import KpiEvent
from contracts.org import OrgEvent
from contracts.tickets import TicketsEvent


def _members(union: Any) -> dict[str, type[BaseModel]]:
    """Return the classes of a union by their `event_type`."""
    return {member.event_type: member for member in get_args(union)}


CONTEXTS: dict[str, dict[str, type[BaseModel]]] = {
    "org": _members(OrgEvent),
    "activity": _members(ActivityEvent),
    "kpi": _members(KpiEvent),
    "tickets": _members(TicketsEvent),
}

EVENTS: dict[str, type[BaseModel]] = {name: cls for events in CONTEXTS.values() for name, cls in events.items()}


def context_of(event_type: str) -> str:
    """Return the context that owns an event type: its first word."""
    return event_type.partition(".")[0]
