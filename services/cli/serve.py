"""Run one service in this process; everything it needs to know is in its environment."""

from __future__ import annotations

import gc
import logging
from importlib import import_module

COLLECT = (50_000, 20, 50)  # a batch of events is thousands of young objects, none of them cyclic


def serve(service: str) -> None:
    """Run one service (org, activity, tickets, kpi, portal) until SIGTERM; settings from OPSLEDGER_* variables."""
    import uvicorn

    from services.kernel import settings as environment
    from services.kernel.telemetry import configure_logging

    settings = environment.load(service)
    configure_logging(service, settings.log_level)
    logging.getLogger("uvicorn.error").addFilter(_plain)
    app = import_module(f"services.{service}.app").create(settings)
    gc.collect()
    gc.freeze()  # what is imported stays: collections need not walk it again
    gc.set_threshold(*COLLECT)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=4,
        backlog=512,
    )


def _plain(record: logging.LogRecord) -> bool:
    """Take uvicorn's second, coloured copy of its message off a line."""
    record.__dict__.pop("color_message", None)
    return True
