"""One pass around every HTTP request: trace context, body limit, access log line, metrics. Plain ASGI, for speed."""

from __future__ import annotations

import json
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kernel import clock, telemetry

log = logging.getLogger("opsledger.access")
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """ASGI middleware. A body that grows beyond `body_limit` bytes is cut off with 413."""

    def __init__(self, app: ASGIApp, service: str, body_limit: int) -> None:
        self.app = app
        self.service = service
        self.body_limit = body_limit
        labels = ("service", "method", "route", "status")
        self._count = telemetry.counter("opsledger_http_requests_total", "HTTP requests answered", labels)
        self._seconds = telemetry.histogram("opsledger_http_seconds", "Time to answer", ("service", "route"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name: value for name, value in scope["headers"] if name in (b"traceparent", b"content-length")}
        trace = telemetry.continue_trace(headers.get(b"traceparent", b"").decode("latin-1"))
        token = telemetry.traceparent.set(trace)
        scope["traceparent"] = trace
        started = clock.monotonic()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).append((b"traceparent", trace.encode()))
            await send(message)

        try:
            if int(headers.get(b"content-length", b"0") or 0) > self.body_limit:
                await self._too_large(answer)
            else:
                await self._guarded(scope, receive, answer)
        finally:
            self._note(scope, status, clock.monotonic() - started)
            telemetry.traceparent.reset(token)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app; a body without a length that grows too large raises inside it, and is answered 413."""
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.body_limit:
                raise HTTPException(413, f"a body may have {self.body_limit} bytes")
            return message

        await self.app(scope, limited, send)

    async def _too_large(self, send: Send) -> None:
        body: dict[str, Any] = {
            "type": "urn:opsledger:problem:body_too_large",
            "title": "body too large",
            "status": 413,
            "detail": f"a body may have {self.body_limit} bytes",
            "code": "body_too_large",
            "remedy": "Send it in several requests.",
        }
        headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._count.labels(self.service, scope["method"], route, str(status)).inc()
        self._seconds.labels(self.service, route).observe(seconds)
        if scope["path"] not in QUIET:
            log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                    "principal": scope.get("principal"),
                },
            )
