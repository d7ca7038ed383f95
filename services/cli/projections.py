"""Asks the services about their read models, and has them folded anew; what every service of a deployment offers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from deploy.local.process import RunnerError
from services.cli.access import Access

EVERY = 0.2  # seconds between looks at a rebuild that is under way
Step = Callable[[int, int], None]  # (done, of)


def projections(access: Access, service: str) -> list[dict[str, Any]]:
    """Return what a service says of its read models; none where it keeps none."""
    try:
        found: list[dict[str, Any]] = access.call("GET", service, "/v1/projections")["data"]
    except RunnerError as error:
        if error.code in ("not_found", "http_404"):
            return []
        raise
    return found


def find(access: Access, services: list[str], name: str) -> tuple[str, str]:
    """Return (service, projection) for "figures" or "kpi/figures". Raises RunnerError where none or several match."""
    wanted, _, short = name.rpartition("/")
    known = [(service, one["name"]) for service in services for one in projections(access, service)]
    matching = [(service, one) for service, one in known if one == short and wanted in ("", service)]
    if len(matching) == 1:
        return matching[0]
    choices = ", ".join(f"{service}/{one}" for service, one in known) or "none: opsledger status"
    if matching:
        raise RunnerError("ambiguous", f"several services have a projection {name}", f"one of: {choices}")
    raise RunnerError("unknown_projection", f"no service has a projection {name}", f"one of: {choices}")


def fold_anew(access: Access, service: str, name: str, step: Step, *, switch: bool, accept: bool) -> dict[str, Any]:
    """Rebuild a projection, wait, and return the report (`differences`, `switched`, `commits`, ...).

    Raises RunnerError: `rebuild_failed` with the service's reason, `rebuild_running`, `rebuild_lost` if it restarted.
    """
    access.call("POST", service, f"/v1/projections/{name}/rebuild", json={"switch": switch, "accept": accept})
    while True:
        state = next((one for one in projections(access, service) if one["name"] == name), {})
        job = state.get("rebuild")
        if job is None:
            raise RunnerError("rebuild_lost", f"{service} has restarted meanwhile", "run the command again")
        if job["state"] == "failed":
            raise RunnerError("rebuild_failed", job["error"], f"opsledger logs {service}")
        if job["state"] == "done":
            report: dict[str, Any] = job["report"]
            return report
        step(job["done"], job["of"])
        time.sleep(EVERY)
