"""The portal's composition root: for now a front page with the services' state and the way to their documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from services.kernel import clock
from services.kernel.settings import Settings
from services.kernel.web import add_check, create_app
from services.portal.front import fragment, page
from services.portal.status import ask_all
from services.portal.texts import Language

PORTS = {"org": 1, "activity": 2, "tickets": 3, "kpi": 4}  # above the portal's, in every deployment
STATIC = Path(__file__).parent / "static"
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'"


def create(settings: Settings) -> FastAPI:
    """Make the portal's application."""
    urls = {service: getattr(settings, f"{service}_url") for service in PORTS}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(trust_env=False) as client:
            app.state.client = client
            add_check(app, "portal", _alive)
            yield

    app = create_app("opsledger portal", settings, lifespan)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def front(request: Request, lang: Literal["zh", "en"] | None = None) -> HTMLResponse:
        language = lang or _language(request)
        statuses = await ask_all(request.app.state.client, urls)
        answer = HTMLResponse(page(statuses, _links(request, list(urls)), language, _now(settings)))
        answer.headers["Content-Security-Policy"] = POLICY
        if lang is not None:
            answer.set_cookie("lang", lang, max_age=31_536_000, httponly=True, samesite="lax")
        return answer

    @app.get("/status", response_class=HTMLResponse, include_in_schema=False)
    async def status(request: Request) -> HTMLResponse:
        statuses = await ask_all(request.app.state.client, urls)
        return HTMLResponse(fragment(statuses, _links(request, list(urls)), _language(request), _now(settings)))

    return app


async def _alive() -> dict[str, str]:
    return {}  # it shows the others' state and needs none of them


def _language(request: Request) -> Language:
    return "en" if request.cookies.get("lang") == "en" else "zh"


def _links(request: Request, services: list[str]) -> dict[str, str]:
    """Return where the browser reaches the services: on the host by which it reached us, at fixed distances."""
    host = request.url.hostname or "127.0.0.1"
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    shown = f"[{host}]" if ":" in host else host
    return {service: f"{request.url.scheme}://{shown}:{port + PORTS[service]}" for service in services}


def _now(settings: Settings) -> str:
    return clock.now().astimezone(settings.zone).strftime("%Y-%m-%d %H:%M:%S")
