"""The very activities behind a figure: asked of the activity service at the figure's own positions, as the caller.

kpi says which activities count (selectors) and what they must sum to; activity finds them as they stood at that commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import httpx

from services.kernel.errors import Refusal, Unavailable
from services.kernel.positions import render
from services.kpi.facts import Facts, Series
from services.kpi.rules_evidence import EvidenceSelector


class EvidenceClient:
    """POST /v1/evidence of the activity service."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(15, connect=3))

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(
        self,
        selectors: list[EvidenceSelector],
        positions: dict[str, int],
        authorization: str,
        limit: int,
        cursor: str | None,
    ) -> dict[str, Any]:
        """Return activity's answer. Refusal as activity gave it; Unavailable when it does not answer."""
        wire = [_wire(one) for one in selectors if one.get("days") != []]
        question: dict[str, Any] = {"selectors": wire, "limit": limit}
        question["at"] = render({name: n for name, n in positions.items() if name.startswith("activity")})
        if cursor is not None:
            question["cursor"] = cursor
        try:
            answer = await self._client.post("/v1/evidence", json=question, headers={"Authorization": authorization})
        except httpx.HTTPError as error:
            raise Unavailable("evidence_not_available", "the activity service does not answer") from error
        if answer.status_code != 200:
            raise _refusal(answer)
        body: dict[str, Any] = answer.json()
        return body


def _wire(selector: EvidenceSelector) -> dict[str, Any]:
    """Leave out what is no condition."""
    return {key: value for key, value in selector.items() if value not in (None, [])}


def _refusal(answer: httpx.Response) -> Refusal:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    return Refusal(
        problem.get("code", "evidence_refused"),
        problem.get("detail", f"activity answered {answer.status_code}"),
        status=answer.status_code if answer.status_code in (400, 403, 404, 422, 503) else 502,
        field=problem.get("field"),
        remedy=problem.get("remedy"),
    )


def expected(selectors: Iterable[EvidenceSelector], facts: Facts) -> int:
    """Return the quantity that the selectors' activities must sum to, out of the facts the figure was made of."""
    total = 0
    for selector in selectors:
        since, until = (date.fromisoformat(selector[key]).toordinal() for key in ("since", "until"))
        days = selector["days"]
        chosen = None if days is None else {date.fromisoformat(day).toordinal() for day in days}
        types = facts.by_person.get(selector["subject"], {})
        for name in selector["types"]:
            for series in types.get(name, ()):
                if _selects(selector, series):
                    total += sum(
                        quantity
                        for day, quantity in zip(series.days, series.quantities, strict=True)
                        if since <= day <= until and (chosen is None or day in chosen)
                    )
    return total


def _selects(selector: EvidenceSelector, series: Series) -> bool:
    return (
        (not selector["platforms"] or series.platform in selector["platforms"])
        and (not selector["accounts"] or [series.platform, series.account] in selector["accounts"])
        and selector["on_topic"] in (None, series.on_topic)
        and (not selector["forms"] or series.form in selector["forms"])
        and selector["counterpart"] in (None, series.counterpart)
        and selector["campaign"] in (None, series.campaign)
    )
