"""Operating a service's read models over HTTP: versions, positions, lag and holds; rebuild, comparison and undo."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from services.kernel import clock
from services.kernel.database import Database
from services.kernel.errors import Refusal
from services.kernel.positions import render
from services.kernel.projection import Projection
from services.kernel.projector import Projector
from services.kernel.reader import StreamReader
from services.kernel.rebuild import Report, rebuild, undo

log = logging.getLogger("opsledger.kernel")

FLUSH = 512  # commits a transaction of a rebuild: a row that many of them touch is written once

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


@dataclass(slots=True)
class ReadModels:
    """A service's projections: those that run, and how to make fresh ones that are nobody's, for a rebuild."""

    db: Database
    projectors: Mapping[str, Projector]
    fresh: Callable[[], Mapping[str, Projection]]
    reader: Callable[[str], StreamReader]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        """Nothing runs until it is asked for."""

    async def stop(self) -> None:
        """End the rebuilds that run; their scratch versions are dropped."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def begin(self, name: str, options: RebuildOptions) -> dict[str, Any]:
        """Start a rebuild in the background and return its job. Refusal 404 `unknown_projection`, 409."""
        projection = self.fresh().get(name)
        if projection is None:
            raise Refusal("unknown_projection", f"there is no projection {name}", status=404, field="name")
        job = self.jobs.get(name)
        if job is not None and job["state"] == "running":
            raise Refusal("rebuild_running", f"{name} is being rebuilt", status=409, remedy="Wait for it.")
        self.jobs[name] = job = {"state": "running", "done": 0, "of": 0}
        task = asyncio.create_task(self._rebuild(projection, options, job), name=f"rebuild-{name}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return job

    async def _rebuild(self, projection: Projection, options: RebuildOptions, job: dict[str, Any]) -> None:
        def progress(done: int, of: int) -> None:
            job.update(done=done, of=of)

        try:
            report = await rebuild(
                self.db,
                projection,
                self.reader,
                progress=progress,
                switch=options.switch,
                accept=options.accept,
                flush=FLUSH,
            )
        except Exception as error:
            log.exception("rebuild_failed", extra={"projection": projection.name})
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


def read_models_router(see: Any, operate: Any) -> APIRouter:
    """Return the routes, which work on `app.state.read_models`; `see` and `operate` are the dependencies that let in
    who may look and who may rebuild."""
    router = APIRouter(prefix="/v1/projections", tags=["operations"])

    @router.get("", summary="Read models: versions, positions, lag, holds, rebuilds", dependencies=[Depends(see)])
    async def projections(request: Request) -> dict[str, Any]:
        """Holds name the event by its position; what it says is masked."""
        return await _listed(_models(request))

    @router.post(
        "/{name}/rebuild",
        status_code=202,
        summary="Rebuild beside the live version, then switch",
        dependencies=[Depends(operate)],
    )
    async def start_rebuild(request: Request, name: str, options: RebuildOptions) -> dict[str, Any]:
        """Runs in the background; GET /v1/projections shows how far it is and what it found."""
        return {"data": _models(request).begin(name, options)}

    @router.post(
        "/{name}/undo", summary="Make the version before the live one live again", dependencies=[Depends(operate)]
    )
    async def undo_switch(request: Request, name: str) -> dict[str, Any]:
        """It catches up by itself."""
        return {"data": {"name": name, "live_version": await undo(_models(request).db, name)}}

    return router


def _models(request: Request) -> ReadModels:
    found: ReadModels = request.app.state.read_models
    return found


async def _listed(models: ReadModels) -> dict[str, Any]:
    async with models.db.tx("repeatable_read", readonly=True) as conn:
        rows = await conn.fetch(_STATE)
        holds = [{**dict(row), "at": row["at"].isoformat()} for row in await conn.fetch(_HOLDS)]
    found: dict[str, dict[str, Any]] = {}
    positions: dict[str, int] = {}
    for row in rows:
        projector = models.projectors.get(row["name"])
        entry = found.setdefault(row["name"], _entry(row, projector, models.jobs.get(row["name"])))
        live = row["version"] == row["live_version"]
        entry["versions"].append(_checkpoint(row, projector) | {"live": live})
        if live:
            positions[row["ledger"]] = min(row["number"], positions.get(row["ledger"], row["number"]))
    for hold in holds:
        found[hold["projection"]]["holds"].append(hold)
    return {"data": list(found.values()), "positions": render(positions), "as_of": clock.now().isoformat()}


def _entry(row: Any, projector: Projector | None, job: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": row["name"],
        "live_version": row["live_version"],
        "state": row["state"],
        "detail": row["detail"],
        "alarms": dict(projector.alarms) if projector else {},
        "rebuild": job,
        "versions": [],
        "holds": [],
    }


def _checkpoint(row: Any, projector: Projector | None) -> dict[str, Any]:
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
