"""The alerts' read model: one row each, written with the commit that changed it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from contracts.kpi import AlertChanged
from services.kernel.database import Connection
from services.kpi.alerts import NEW, Alert, Key, evolve

_READ = """
SELECT quota, version, scope, id, period, raised, verdict FROM public.alert
WHERE period = ANY($1) AND scope = ANY($2) AND id = ANY($3)
"""
_WRITE = """
INSERT INTO public.alert (quota, version, scope, id, period, raised, verdict, done, due, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (quota, version, scope, id, period) DO UPDATE SET raised = excluded.raised, verdict = excluded.verdict,
    done = excluded.done, due = excluded.due, at = excluded.at
"""


async def standing(conn: Connection, keys: Iterable[Key]) -> dict[Key, Alert]:
    """Return the alerts of these keys, as far as there are any (and maybe others of the same people and periods)."""
    _, _, scopes, ids, periods = (list(set(column)) for column in zip(*keys, strict=True))
    rows = await conn.fetch(_READ, periods, scopes, ids)
    return {tuple(row)[:5]: Alert(row["raised"], row["verdict"]) for row in rows}


async def write(conn: Connection, events: Sequence[AlertChanged]) -> None:
    """Apply transitions, in order, to their rows."""
    keys = [(event.quota, event.version, event.scope, event.id, event.period) for event in events]
    alerts = await standing(conn, keys)
    rows: dict[Key, tuple[object, ...]] = {}
    for key, event in zip(keys, events, strict=True):
        alerts[key] = after = evolve(alerts.get(key, NEW), event.transition)
        rows[key] = (*key, after.raised, after.verdict, event.done, event.due, event.at)
    await conn.executemany(_WRITE, [rows[key] for key in sorted(rows)])


async def listed(conn: Connection, period: str) -> list[dict[str, Any]]:
    """Return a period's alerts, newest first."""
    rows = await conn.fetch("SELECT * FROM public.alert WHERE period = $1 ORDER BY at DESC, quota, id", period)
    return [{**dict(row), "at": row["at"].isoformat()} for row in rows]
