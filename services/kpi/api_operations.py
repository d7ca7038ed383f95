"""Operating the read models over HTTP: positions, lag, versions and holds; rebuild, comparison and undo. And alerts."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from services.kernel import clock
from services.kernel.auth import Access, allow
from services.kernel.errors import Refusal
from services.kernel.positions import render
from services.kernel.rebuild import Report, rebuild, undo
from services.kpi import alert_rows, rendering
from services.kpi.api_reads import PeriodText, answer
from services.kpi.context import Kpi, kpi_of
from services.kpi.reach import may_see

router = APIRouter(prefix="/v1", tags=["operations"])
log = logging.getLogger("opsledger.kpi")

FLUSH = 512  # commits a transaction of a rebuild: a cell that many of them touch is written once

_STATE = """
SELECT p.name, p.live_version, p.state, p.detail, c.version, c.ledger, c.number, c.epoch, c.applied_at
FROM projection p JOIN checkpoint c ON c.projection = p.name ORDER BY p.name, c.version, c.ledger
"""
_HOLDS = """
SELECT h.projection, h.version, h.ledger, h.number, h.position, h.subject, h.reason, h.at
FROM hold h JOIN projection p ON p.name = h.projection AND p.live_version = h.version
ORDER BY h.at DESC LIMIT 500
"""


class RebuildOptions(BaseModel):
    """`switch` false: only compare. `accept`: switch although rows differ."""

    switch: bool = True
    accept: bool = False


@router.get("/projections", summary="Read models: versions, positions, lag, holds, rebuilds")
async def projections(request: Request, _: Access = allow("operations.read")) -> dict[str, Any]:
    """Holds name the event by its position; what it says is masked."""
    kpi = kpi_of(request)
    async with kpi.db.tx("repeatable_read", readonly=True) as conn:
        rows = await conn.fetch(_STATE)
        holds = [{**dict(row), "at": row["at"].isoformat()} for row in await conn.fetch(_HOLDS)]
    found: dict[str, dict[str, Any]] = {}
    positions: dict[str, int] = {}
    for row in rows:
        entry = found.setdefault(row["name"], _entry(kpi, row))
        live = row["version"] == row["live_version"]
        entry["versions"].append(_checkpoint(kpi, row) | {"live": live})
        if live:
            positions[row["ledger"]] = min(row["number"], positions.get(row["ledger"], row["number"]))
    for hold in holds:
        found[hold["projection"]]["holds"].append(hold)
    now = clock.now().isoformat()
    return {"data": list(found.values()), "positions": render(positions), "as_of": now}


def _entry(kpi: Kpi, row: Any) -> dict[str, Any]:
    projector = kpi.projectors.get(row["name"])
    return {
        "name": row["name"],
        "live_version": row["live_version"],
        "state": row["state"],
        "detail": row["detail"],
        "alarms": dict(projector.alarms) if projector else {},
        "rebuild": kpi.jobs.get(row["name"]),
        "versions": [],
        "holds": [],
    }


def _checkpoint(kpi: Kpi, row: Any) -> dict[str, Any]:
    projector = kpi.projectors.get(row["name"])
    head = max(projector.heads.get(row["ledger"], 0), row["number"]) if projector else row["number"]
    return {
        "version": row["version"],
        "ledger": row["ledger"],
        "epoch": row["epoch"],
        "number": row["number"],
        "head": head,
        "lag": head - row["number"],
        "applied_at": row["applied_at"].isoformat(),
    }


@router.post("/projections/{name}/rebuild", status_code=202, summary="Rebuild beside the live version, then switch")
async def start_rebuild(
    request: Request, name: str, options: RebuildOptions, _: Access = allow("operations.rebuild")
) -> dict[str, Any]:
    """Runs in the background; GET /v1/projections shows how far it is and what it found."""
    kpi = kpi_of(request)
    fresh = kpi.fresh().get(name)
    if fresh is None:
        raise Refusal("unknown_projection", f"there is no projection {name}", status=404, field="name")
    job = kpi.jobs.get(name)
    if job is not None and job["state"] == "running":
        raise Refusal("rebuild_running", f"{name} is being rebuilt", status=409, remedy="Wait for it.")
    kpi.jobs[name] = job = {"state": "running", "done": 0, "of": 0}
    task = asyncio.create_task(_rebuild(kpi, name, options, job), name=f"rebuild-{name}")
    kpi.tasks.add(task)
    task.add_done_callback(kpi.tasks.discard)
    return {"data": job}


async def _rebuild(kpi: Kpi, name: str, options: RebuildOptions, job: dict[str, Any]) -> None:
    def progress(done: int, of: int) -> None:
        job.update(done=done, of=of)

    try:
        report = await rebuild(
            kpi.db,
            kpi.fresh()[name],
            kpi.reader,
            progress=progress,
            switch=options.switch,
            accept=options.accept,
            flush=FLUSH,
        )
    except Exception as error:
        log.exception("rebuild_failed", extra={"projection": name})
        job.update(state="failed", error=str(error))
    else:
        job.update(state="done", report=report_of(report))


def report_of(report: Report) -> dict[str, Any]:
    """Return a rebuild's report as JSON."""
    return {
        "live": report.live,
        "rebuilt": report.rebuilt,
        "switched": report.switched,
        "commits": report.commits,
        "seconds": round(report.seconds, 3),
        "positions": render(report.positions),
        "differences": [
            {"table": d.table, "side": d.side, "row": {k: str(v) for k, v in d.row.items()}} for d in report.differences
        ],
    }


@router.post("/projections/{name}/undo", summary="Make the version before the live one live again")
async def undo_switch(request: Request, name: str, _: Access = allow("operations.rebuild")) -> dict[str, Any]:
    """It catches up by itself."""
    return {"data": {"name": name, "live_version": await undo(kpi_of(request).db, name)}}


@router.get("/alerts", tags=["figures"], summary="Alerts of a period: at risk, met, missed")
async def alerts(request: Request, period: PeriodText, access: Access = allow("alerts.read")) -> Response:
    """Those of the people, accounts, pairs and units that the caller may see."""
    kpi = kpi_of(request)
    asked = rendering.period(period)
    async with kpi.figures.snapshot() as at:
        rows = await alert_rows.listed(at.conn, asked.text)
        data = [row for row in rows if may_see(access, row["scope"], row["id"], at.roster, asked)]
        return answer(at, data)
