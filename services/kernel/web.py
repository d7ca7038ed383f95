"""The HTTP edge that every service shares: problem documents, health, metrics, offline docs, limits, freshness.

Must not know any service's routes. What has to be ready is told by the service's lifespan through `add_check`.
"""

from __future__ import annotations

import gzip
import io
import logging
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import swagger_ui_bundle
from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from services.kernel import telemetry
from services.kernel.access_log import RequestLog
from services.kernel.broker import BROKEN
from services.kernel.errors import Refusal
from services.kernel.positions import render

log = logging.getLogger("opsledger.web")

BODY_LIMIT = 8 * 1024 * 1024  # bytes; routes that take less say so themselves
PROBLEM = "application/problem+json"
VERSION = "0.1.0"

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Check = Callable[[], Awaitable[Mapping[str, Any]]]
"""A readiness check: returns what is worth knowing (`lag`, ...), with `ready: False` or an exception for "not yet"."""

IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=200, description="Repeats of a request under a key count once"),
]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="The version that the change is made on (ETag)")]


def create_app(title: str, settings: Any, lifespan: Lifespan, *, body_limit: int = BODY_LIMIT) -> FastAPI:
    """Return an app with everything but routes. `lifespan` opens what the service needs and calls `add_check`."""
    app = FastAPI(title=title, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.checks = {}
    app.add_middleware(RequestLog, service=settings.service, body_limit=body_limit)
    app.add_exception_handler(Refusal, _on_refusal)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http)  # type: ignore[arg-type]
    for kind in BROKEN:
        app.add_exception_handler(kind, _on_transient)
    app.add_exception_handler(Exception, _on_failure)
    _add_standing_routes(app)
    return app


def add_check(app: FastAPI, name: str, check: Check) -> None:
    """Let /readyz ask `check`."""
    app.state.checks[name] = check


def _add_standing_routes(app: FastAPI) -> None:
    static = StaticFiles(directory=str(swagger_ui_bundle.swagger_ui_path))
    app.mount("/docs/static", static, name="docs-static")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url="/docs/static/swagger-ui-bundle.js",
            swagger_css_url="/docs/static/swagger-ui.css",
            swagger_favicon_url="/docs/static/favicon-32x32.png",
        )

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "alive", "service": app.state.settings.service}

    @app.get("/readyz", include_in_schema=False)
    async def readyz(response: Response) -> dict[str, Any]:
        answers = {name: await _ask(check) for name, check in app.state.checks.items()}
        ready = bool(answers) and all(answer["ready"] for answer in answers.values())
        response.status_code = 200 if ready else 503
        return {"status": "ready" if ready else "not_ready", "service": app.state.settings.service, "checks": answers}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _ask(check: Check) -> dict[str, Any]:
    try:
        return {"ready": True, **await check()}
    except Exception as error:  # any failure means: not ready, and why
        return {"ready": False, "error": type(error).__name__, "detail": str(error)[:200]}


def problem(
    status: int, code: str, detail: str, *, field: str | None = None, remedy: str | None = None, **more: Any
) -> JSONResponse:
    """Return an RFC 9457 problem document with this system's `code`, `field` and `remedy`."""
    body: dict[str, Any] = {
        "type": f"urn:opsledger:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "code": code,
    }
    body |= {key: value for key, value in (("field", field), ("remedy", remedy), *more.items()) if value is not None}
    trace = telemetry.trace_id(telemetry.traceparent.get())
    if trace is not None:
        body["trace"] = trace
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": "1"} if status == 503 else None
    return JSONResponse(body, status_code=status, media_type=PROBLEM, headers=headers)


async def _on_refusal(_: Request, error: Refusal) -> Response:
    errors = getattr(error, "errors", None)  # where several were found at once
    return problem(error.status, error.code, error.detail, field=error.field, remedy=error.remedy, errors=errors)


async def _on_invalid(_: Request, error: RequestValidationError) -> Response:
    errors = [
        {"field": ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]), "detail": item["msg"]}
        for item in error.errors()[:50]
    ]
    first = errors[0]
    remedy = "Mend the named fields; /docs describes them."
    return problem(422, "invalid_request", first["detail"], field=first["field"], remedy=remedy, errors=errors)


async def _on_http(_: Request, error: HTTPException) -> Response:
    if error.status_code == 413:
        return problem(413, "body_too_large", str(error.detail), remedy="Send it in several requests.")
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return problem(error.status_code, code, str(error.detail))


async def _on_transient(_: Request, error: Exception) -> Response:
    log.warning("unavailable", extra={"error": repr(error)})
    remedy = "Repeat the same request later; it counts once."
    return problem(503, "unavailable", "a database or broker does not answer", remedy=remedy)


async def _on_failure(_: Request, error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    return problem(500, "internal_error", "this should not have happened; the log has it under the trace")


def freshness(response: Response, positions: Mapping[str, int], as_of: datetime) -> None:
    """Say in headers how far the ledgers had been read for this answer, and when."""
    response.headers["Opsledger-Position"] = render(positions)
    response.headers["Opsledger-As-Of"] = as_of.isoformat()


def envelope(data: Any, positions: Mapping[str, int], as_of: datetime, **more: Any) -> dict[str, Any]:
    """Return the body of a read answer: {"data", "positions", "as_of"} and what else there is (`next`)."""
    return {"data": data, "positions": render(positions), "as_of": as_of.isoformat(), **more}


async def read_body(request: Request, limit: int) -> bytes:
    """Return the request's body, unpacked if gzip, of at most `limit` bytes unpacked. Refusal 413, 415, 400."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise Refusal("unsupported_encoding", f"content encoding {encoding!r}", status=415, remedy="Send gzip or none.")
    body = await request.body()
    if encoding == "gzip":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as unpacked:
                body = unpacked.read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise Refusal("bad_gzip", "the body is not gzip", status=400, remedy="Check how it is packed.") from error
    if len(body) > limit:
        raise too_large(limit)
    return body


def too_large(limit: int) -> Refusal:
    """The refusal of a body beyond `limit` bytes."""
    return Refusal(
        "body_too_large", f"a body may have {limit} bytes", status=413, remedy="Send it in several requests."
    )


def expected_version(if_match: str | None) -> int | None:
    """Return the version that If-Match names; None where it is absent or "*". Refusal 400 `bad_if_match`."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > 9:
        raise Refusal(
            "bad_if_match", f"{if_match!r} is no version", field="If-Match", remedy='Send the ETag as it came: "3".'
        )
    return int(text)


def etag(response: Response, version: int) -> None:
    """Name the version that the answer shows, for a later If-Match."""
    response.headers["ETag"] = f'"{version}"'
