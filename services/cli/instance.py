"""`init`, `up`, `down`: make, start and stop an instance on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Annotated

import typer

from deploy.local.health import ready
from deploy.local.instance import PROJECT, Instance, load_credentials, make_credentials, stale_files
from deploy.local.process import RunnerError, end_all_stale, running_pid, wait_until

SUPERVISOR = [sys.executable, "-m", "deploy.local.supervisor"]
READY_SECONDS = 60.0


def init() -> None:
    """Make the instance's folder and secrets, and start nothing. Existing secrets stay as they are."""
    instance = Instance.from_environment()
    _, made = make_credentials(instance)
    print(f"{'made' if made else 'found'} {instance.home} (base port {instance.base_port})")
    print("next: opsledger up, then `opsledger token --role director` for the first director")


def up(
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay in the terminal; Ctrl-C stops it.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait until every service is ready.")] = READY_SECONDS,
) -> None:
    """Start NATS, PostgreSQL and every service under one supervisor; wait until all are ready."""
    instance = Instance.from_environment()
    if running_pid(instance.pid_file("supervisor")) is not None:
        print("already running")
    else:
        make_credentials(instance)
        if foreground:
            _print_addresses(instance)
            os.execve(SUPERVISOR[0], [*SUPERVISOR, "--foreground"], _environment(instance))
        _start(instance)
    _wait_ready(instance, wait)
    _print_addresses(instance)


def down() -> None:
    """Stop everything that belongs to this instance, also what a killed supervisor left behind."""
    instance = Instance.from_environment()
    supervisor = instance.pid_file("supervisor")
    if running_pid(supervisor) is None and not instance.state():
        print("not running")
        return
    end_all_stale({supervisor: signal.SIGTERM}, timeout=15.0)
    end_all_stale(stale_files(instance, load_credentials(instance)))
    print("stopped")


def _environment(instance: Instance) -> dict[str, str]:
    return {**os.environ, "OPSLEDGER_HOME": str(instance.home), "OPSLEDGER_PORT": str(instance.base_port)}


def _start(instance: Instance) -> None:
    instance.logs.mkdir(mode=0o700, exist_ok=True)
    instance.state_file.unlink(missing_ok=True)
    with instance.log("supervisor").open("ab") as log:
        process = subprocess.Popen(
            SUPERVISOR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=_environment(instance),
            start_new_session=True,
        )
    wait_until(lambda: process.poll() is not None or instance.state().get("phase") == "running", 60.0)
    if process.poll() is not None:
        raise _reason(instance)


def _reason(instance: Instance) -> RunnerError:
    error = instance.state().get("error")
    if error:
        return RunnerError(error["code"], error["detail"], error["remedy"])
    return RunnerError("supervisor_ended", "the supervisor ended", f"read {instance.log('supervisor')}")


def _wait_ready(instance: Instance, seconds: float) -> None:
    """Wait for every service's /readyz. Raises RunnerError that names the ones that are not ready."""
    began = time.monotonic()
    names = [name for name in instance.state()["processes"] if name not in ("nats", "postgres")]
    waiting = list(names)

    def all_ready() -> bool:
        waiting[:] = [name for name in waiting if not ready(instance.url(name)).ready]
        return not waiting or instance.state().get("phase") == "failed"

    wait_until(all_ready, seconds, every=0.1)
    if waiting:
        raise RunnerError(
            "not_ready",
            f"not ready after {seconds:.0f} s: {', '.join(waiting)}",
            f"opsledger logs {waiting[0]}; opsledger status",
        )
    print(f"ready after {time.monotonic() - began:.1f} s: {', '.join(names)}")


def _print_addresses(instance: Instance) -> None:
    state = instance.state()
    names = list(state.get("processes", {})) or ["portal", "nats", "postgres"]
    for name in ("portal", *(name for name in names if name != "portal")):
        if name == "nats":
            address = f"nats://{instance.host}:{instance.port(name)}"
        elif name == "postgres":
            address = f"{instance.host}:{instance.port(name)}"
        else:
            address = instance.url(name) + ("" if name == "portal" else "/docs")
        print(f"  {name:<10} {address}")
    print(f"  data       {instance.home}")
