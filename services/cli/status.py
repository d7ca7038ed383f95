"""`status`: the processes, how ready they are, and how far their streams and projections got."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.health import ready
from deploy.local.instance import Instance
from deploy.local.process import running_pid


def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show every process with its state, restarts and readiness. Exit status 1 when something is not ready."""
    instance = Instance.from_environment()
    report = collect(instance)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        _print(report)
    raise typer.Exit(0 if report["ready"] else 1)


def collect(instance: Instance) -> dict[str, Any]:
    """Return {"running", "ready", "processes": {name: {..., "ready", "checks"}}}."""
    running = running_pid(instance.pid_file("supervisor")) is not None
    state = instance.state()
    processes: dict[str, Any] = dict(state.get("processes", {})) if running else {}
    for name, process in processes.items():
        if name in ("nats", "postgres"):
            process["ready"] = process["state"] == "running"
            continue
        health = ready(instance.url(name))
        process["ready"], process["checks"] = health.ready, health.detail
    return {
        "home": str(instance.home),
        "base_port": instance.base_port,
        "running": running,
        "phase": state.get("phase", "never started") if running else "stopped",
        "ready": bool(processes) and all(process["ready"] for process in processes.values()),
        "processes": processes,
    }


def _print(report: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{report['home']}  base port {report['base_port']}  [bold]{report['phase']}[/]")
    if not report["processes"]:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("process", "state", "ready", "port", "pid", "restarts", "detail"):
        table.add_column(heading)
    for name, process in report["processes"].items():
        checks = process.get("checks") or {}
        table.add_row(
            name,
            process["state"],
            "[green]yes[/]" if process["ready"] else "[red]no[/]",
            str(process["port"]),
            str(process["pid"] or "-"),
            str(process["restarts"]),
            _short(checks.get("checks", checks)),
        )
    console.print(table)


def _short(checks: Any) -> str:
    if isinstance(checks, dict):
        return "  ".join(f"{name}: {_short(value)}" for name, value in checks.items() if name != "status")
    if isinstance(checks, list):
        return "  ".join(_short(one) for one in checks)
    return str(checks)
