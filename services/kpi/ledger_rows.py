"""The kpi ledger's inline read model: policies and alerts, written in the transaction of the commit."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from contracts.kpi import AlertChanged, PolicyPutInForce
from services.kernel.aggregates import write_aggregates
from services.kernel.codec import Commit
from services.kernel.database import Connection
from services.kpi import alert_rows, policies
from services.kpi.changes import announce

_MODELS: dict[str, type[BaseModel]] = {model.event_type: model for model in (PolicyPutInForce, AlertChanged)}


async def inline(conn: Connection, appended: Sequence[tuple[str, BaseModel]]) -> None:
    """Write what a decision appended."""
    await write(conn, [event for _, event in appended])


async def write(conn: Connection, events: Sequence[BaseModel]) -> None:
    """Write events of one commit."""
    for event in events:
        if isinstance(event, PolicyPutInForce):
            await policies.write(conn, event)
            await announce(conn, None)
    alerts = [event for event in events if isinstance(event, AlertChanged)]
    if alerts:
        await alert_rows.write(conn, alerts)


async def restore(conn: Connection, commit: Commit, ref: int) -> None:
    """Write the rows of a commit that came back by healing or import; `ref` is the commit's handle."""
    events = commit.events()
    versions = [(e.aggregate, e.aggregateversion) for e in events if e.aggregate and e.aggregateversion]
    await write_aggregates(conn, ref, versions)
    known = [(_MODELS[event.type], event) for event in events if event.type in _MODELS]
    await write(conn, [event.read(model) for model, event in known])
