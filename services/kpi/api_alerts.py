"""Alerts over HTTP: which attainments are at risk, met or missed, as they were decided."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from services.kernel.auth import Access, allow
from services.kpi import alert_rows, rendering
from services.kpi.api_reads import PeriodText, answer
from services.kpi.context import kpi_of
from services.kpi.reach import may_see

router = APIRouter(prefix="/v1", tags=["figures"])


@router.get("/alerts", summary="Alerts of a period: at risk, met, missed")
async def alerts(request: Request, period: PeriodText, access: Access = allow("alerts.read")) -> Response:
    """Those of the people, accounts, pairs and units that the caller may see."""
    kpi = kpi_of(request)
    asked = rendering.period(period)
    async with kpi.figures.snapshot() as at:
        rows = await alert_rows.listed(at.conn, asked.text)
        data = [row for row in rows if may_see(access, row["scope"], row["id"], at.roster, asked)]
        return answer(at, data)
