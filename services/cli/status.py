"""`status`: the processes, how ready they are, and how far their streams and projections got."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.local.health import ready
from deploy.local.instance import DECIDING, Instance, load_credentials
from deploy.local.nats import greets
from deploy.local.postgres import accepts
from deploy.local.process import running_pid
from services.cli.standing import standing


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
            process["ready"] = _server_answers(instance, name)
            continue
        health = ready(instance.url(name))
        process["ready"], process["checks"] = health.ready, health.detail
    answer = {
        "home": str(instance.home),
        "base_port": instance.base_port,
        "running": running,
        "phase": state.get("phase", "never started") if running else "stopped",
        "ready": bool(processes) and all(process["ready"] for process in processes.values()),
        "processes": processes,
    }
    if running:
        services = [name for name in DECIDING if name in processes]
        answer |= asyncio.run(standing(instance, load_credentials(instance), services))
    return answer


def _server_answers(instance: Instance, name: str) -> bool:
    port = instance.port(name)
    if name == "postgres":
        return accepts(instance.host, port)
    return greets(instance.host, port, f"opsledger-{load_credentials(instance).instance_id}")


def _print(report: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{report['home']}  base port {report['base_port']}  [bold]{report['phase']}[/]")
    if not report["processes"]:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("process", "state", "ready", "port", "pid", "restarts", "what it says"):
        table.add_column(heading)
    for name, process in report["processes"].items():
        table.add_row(
            name,
            process["state"],
            "[green]yes[/]" if process["ready"] else "[red]no[/]",
            str(process["port"]),
            str(process["pid"] or "-"),
            str(process["restarts"]),
            _told((process.get("checks") or {}).get("checks", {})),
        )
    console.print(table)
    for name, ledger in report.get("ledgers", {}).items():
        stream = "missing" if ledger["stream"] is None else str(ledger["stream"])
        console.print(f"ledger {name:<12} at {ledger['head']}, its stream at {stream}, epoch {ledger['epoch']}")
    if report.get("quarantine") is not None:
        console.print(f"quarantine {report['quarantine']}, waiting in the inbox {report['inbox'] or 0}")


def _told(checks: dict[str, dict[str, Any]]) -> str:
    """Say each projection's lag and what is not ready; what is well and has no lag to tell is left out."""
    said = []
    for name, check in checks.items():
        lag = check.get("lag")
        behind = ", ".join(f"{ledger} {number}" for ledger, number in lag.items()) if isinstance(lag, dict) else lag
        if not check.get("ready"):
            why = {key: value for key, value in check.items() if key not in ("ready", "lag") and value}
            said.append(f"[red]{name}: {escape(str(why or 'not ready'))}[/]")
        elif behind not in (None, ""):
            said.append(f"{name} lag: {behind}")
    return "; ".join(said)
