"""The whole system as `make up` starts it."""

from __future__ import annotations

import json
import urllib.request

from tests.running import RunningSystem


def test_every_service_is_ready_and_documents_itself_offline(system: RunningSystem) -> None:
    report = system.status()
    assert report["ready"], report
    for service in ("org", "activity", "kpi"):
        page = _get(f"{system.url(service)}/docs")
        assert "swagger-ui" in page
        assert "https://" not in page
        assert json.loads(_get(f"{system.url(service)}/openapi.json"))["paths"]


def test_status_tells_ledgers_streams_and_quarantine(system: RunningSystem) -> None:
    report = system.status()
    assert {"org", "kpi", "activity.0"} <= set(report["ledgers"])
    for ledger in report["ledgers"].values():
        assert ledger["stream"] is not None
    assert report["quarantine"] is not None


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()
