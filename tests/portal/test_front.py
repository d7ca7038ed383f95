"""The front page: it tells the services' state as they tell it, in two languages, and leads to their documentation."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from deploy.local.process import free_port
from services.kernel.settings import Settings
from services.portal.app import STATIC, create
from services.portal.texts import TEXTS

READY = {"status": "ready", "checks": {"facts": {"ready": True, "lag": {"activity.0": 7}}}}
NOT_READY = {"status": "not_ready", "checks": {"trust": {"ready": False, "detail": "<b>no keys yet</b>"}}}


def _answering(status: int, body: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None: ...

    return Handler


@pytest.fixture
def stubs() -> Iterator[dict[str, str]]:
    """org is ready, kpi is not yet, nobody listens where activity and tickets should be."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _answering(*told)) for told in ((200, READY), (503, NOT_READY))]
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    org, kpi = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    nobody = f"http://127.0.0.1:{free_port()}"
    yield {"org_url": org, "kpi_url": kpi, "activity_url": nobody, "tickets_url": nobody}
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
async def browser(stubs: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    app = create(Settings(service="portal", **stubs))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://centre.test:9000") as client,
    ):
        yield client


async def test_each_service_is_shown_as_it_is(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/")).text
    states = re.findall(r'class="card (\w+)" id="service-(\w+)"', page)
    assert {service: state for state, service in states} == {
        "org": "ready",
        "activity": "no_answer",
        "tickets": "no_answer",
        "kpi": "not_ready",
    }
    assert "部分服务未就绪" in page
    assert "activity.0" in page


async def test_links_lead_to_where_the_browser_came_from(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/")).text
    assert 'href="http://centre.test:9001/docs"' in page
    assert 'href="http://centre.test:9004/openapi.json"' in page


async def test_the_language_is_remembered(browser: httpx.AsyncClient) -> None:
    assert '<html lang="zh-CN">' in (await browser.get("/")).text
    assert '<html lang="en">' in (await browser.get("/?lang=en")).text
    assert "Some services are not ready" in (await browser.get("/status")).text


async def test_what_services_say_is_shown_and_never_executed(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/")).text
    assert "<b>no keys yet" not in page
    assert "&lt;b&gt;no keys yet" in page


async def test_the_portal_itself_is_ready_whatever_the_others_are(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/readyz")).status_code == 200


async def test_nothing_is_loaded_from_elsewhere(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
        assert (await browser.get(path)).status_code == 200


def test_static_files_name_no_other_host() -> None:
    for file in STATIC.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org)", file.read_text())


def test_every_text_is_in_both_languages() -> None:
    assert all(zh and en for zh, en in TEXTS.values())
