"""The one supervisor of an instance: starts NATS, PostgreSQL and the services, restarts what dies, stops all of it.

It imports nothing heavy (it stays resident), waits in one select() and never blocks on a child. Should it be killed,
its children are told by the kernel; what outlives it is found by pid file and start mark, and ended, at the next start.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import select
import socket
import sys
import time
from datetime import UTC, datetime
from typing import IO, Any

from deploy.local.instance import (
    DECIDING,
    PROJECT,
    Credentials,
    Instance,
    make_credentials,
    postgres_place,
    stale_files,
)
from deploy.local.logfiles import rotate
from deploy.local.nats import NatsServer
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Child, RunnerError, end_all_stale, port_is_free, wait_until, write_pid
from deploy.local.provision import provisioning_sql, service_environment
from deploy.local.signals import drain, signals
from deploy.local.units import Unit

STOP_SECONDS = 10.0
ROTATE_EVERY = 5.0


class Supervisor:
    """Starts, watches, restarts, stops; says what it does in its log and in the state file."""

    def __init__(self, instance: Instance, credentials: Credentials, *, foreground: bool = False) -> None:
        self.instance, self.credentials, self.foreground = instance, credentials, foreground
        self.phase = "starting"
        self.error: dict[str, str] | None = None
        self.postgres = EmbeddedPostgres(
            place=postgres_place(instance, credentials),
            port=instance.port("postgres"),
            password=credentials.postgres,
            log=instance.log("postgres"),
            settings=_chosen_settings(),
        )
        self.nats = NatsServer(
            place=instance.home / "nats",
            port=instance.port("nats"),
            users=credentials.nats,
            log=instance.log("nats"),
            name=f"opsledger-{credentials.instance_id}",
            shards=credentials.activity_shards,
            callout_issuer=credentials.nats_issuer,
        )
        self.servers = [Unit("nats", self._launch_nats), Unit("postgres", self._launch_postgres)]
        self.services = [Unit(name, self._launcher(name)) for name in process_names()]
        self.units = [*self.servers, *self.services]

    def run(self, wakeup: socket.socket, stopping: list[int]) -> int:
        """Start, watch until asked to stop, stop. Returns the exit status."""
        try:
            self.start()
            self.watch(wakeup, stopping)
        except RunnerError as error:
            self.error = {"code": error.code, "detail": error.detail, "remedy": error.remedy}
            self._say(error.detail, level="error", code=error.code, remedy=error.remedy)
        self.stop()
        return 1 if self.error else 0

    # -- starting -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything. Raises RunnerError."""
        end_all_stale(stale_files(self.instance, self.credentials))
        self._check_ports()
        self._say("starting", home=str(self.instance.home), base_port=self.instance.base_port)
        self._write_state()
        for unit in self.servers:
            unit.start()
        self.nats.wait_ready()
        self.postgres.wait_ready(60.0)
        self.servers[1].child = self.postgres.child
        self.postgres.psql(provisioning_sql(self.credentials.databases))
        for unit in self.services:
            unit.start()
        self.phase = "running"
        self._write_state()
        self._say("running", processes=[unit.name for unit in self.units])

    def _check_ports(self) -> None:
        for unit in self.units:
            port = self.instance.port(unit.name)
            if not wait_until(lambda port=port: port_is_free(port), 1.0):  # type: ignore[misc]
                raise RunnerError(
                    "port_busy",
                    f"port {port} ({unit.name}) is used by another program",
                    "stop that program, or choose another base with OPSLEDGER_PORT (base to base + 6 must be free)",
                )

    def _launch_nats(self) -> Child:
        self.nats.launch()
        return self.nats.child

    def _launch_postgres(self) -> Child:
        self.postgres.launch()
        return self.postgres.child

    def _launcher(self, name: str) -> Any:
        def launch() -> Child:
            child = Child(
                name=name,
                argv=[sys.executable, "-m", "services.cli", "serve", name.partition("-")[0]],
                log=self.instance.log(name),
                pid_file=self.instance.pid_file(name),
                env=self._environment(name),
                cwd=PROJECT,
            )
            child.start()
            return child

        return launch

    def _environment(self, name: str) -> dict[str, str]:
        """Return a service's whole environment; only its own secrets are in it."""
        keep = {key: value for key, value in os.environ.items() if not key.startswith("OPSLEDGER_")}
        for key in ("OPSLEDGER_LOG_LEVEL", "OPSLEDGER_COMMIT_LIMIT_BYTES"):
            if key in os.environ:
                keep[key] = os.environ[key]
        instance = self.instance
        return {
            **keep,
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",
            **service_environment(
                name.partition("-")[0],
                self.credentials,
                host=instance.host,
                port=instance.port(name),
                database_address=f"{instance.host}:{instance.port('postgres')}",
                nats_url=self.nats.url,
                urls={service: instance.url(service) for service in (*DECIDING, "portal")},
            ),
        }

    # -- watching -----------------------------------------------------------------------------------------------

    def watch(self, wakeup: socket.socket, stopping: list[int]) -> None:
        """Restart what dies until a signal asks to stop."""
        next_rotation = time.monotonic() + ROTATE_EVERY
        while not stopping:
            now = time.monotonic()
            due = min([next_rotation, *(unit.due for unit in self.units if unit.due is not None)])
            select.select([wakeup], [], [], max(0.0, due - now))
            drain(wakeup)
            changed = False
            for unit in self.units:
                changed |= self._look_after(unit)
            if time.monotonic() >= next_rotation:
                rotate(self.instance.logs)
                next_rotation = time.monotonic() + ROTATE_EVERY
            if changed:
                self._write_state()

    def _look_after(self, unit: Unit) -> bool:
        now = time.monotonic()
        if unit.died(now):
            self._say("process ended", level="warning", process=unit.name, exit=unit.last_exit, restart_in=unit.delay)
            return True
        if unit.due is not None and now >= unit.due:
            try:
                unit.start()
            except (RunnerError, OSError) as error:
                unit.failed(time.monotonic())
                self._say("restart failed", level="error", process=unit.name, error=str(error))
            else:
                self._say("process restarted", process=unit.name, pid=unit.pid, restarts=unit.restarts)
            return True
        return False

    # -- stopping -----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop the services, then the servers; what does not end in time is killed."""
        self.phase = "stopping"
        self._write_state()
        self._say("stopping")
        deadline = time.monotonic() + STOP_SECONDS
        for group, share in ((self.services, 0.6), (self.servers, 1.0)):
            until = deadline - STOP_SECONDS * (1 - share)
            running = [unit.child for unit in group if unit.child is not None]
            for child in running:
                child.ask_to_stop()
            for child in running:
                child.finish(max(0.1, until - time.monotonic()))
        self.phase = "failed" if self.error else "stopped"
        self._write_state()
        self._say("stopped")

    # -- saying -------------------------------------------------------------------------------------------------

    def _write_state(self) -> None:
        state = {
            "phase": self.phase,
            "pid": os.getpid(),
            "home": str(self.instance.home),
            "base_port": self.instance.base_port,
            "error": self.error,
            "processes": {unit.name: unit.describe(self.instance.port(unit.name)) for unit in self.units},
        }
        path = self.instance.state_file
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(state))
        beside.replace(path)

    def _say(self, message: str, *, level: str = "info", **more: object) -> None:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "service": "supervisor"}
        text = json.dumps({**line, "message": message, **more}, ensure_ascii=False)
        if self.foreground:
            print(message, " ".join(f"{key}={value}" for key, value in more.items()), flush=True)
            with self.instance.log("supervisor").open("a") as log:
                log.write(text + "\n")
        else:
            print(text, flush=True)


def process_names() -> list[str]:
    """Return the service processes: those whose code is there, in the numbers that OPSLEDGER_REPLICAS says.

    OPSLEDGER_SERVICES ("org,activity") names fewer; OPSLEDGER_REPLICAS is like "kpi=2,activity=3".
    """
    named = os.environ.get("OPSLEDGER_SERVICES", "").split(",")
    present = [
        name
        for name in (*DECIDING, "portal")
        if (PROJECT / "services" / name / "app.py").exists() and (named == [""] or name in named)
    ]
    wanted = dict(part.split("=") for part in os.environ.get("OPSLEDGER_REPLICAS", "").split(",") if part)
    return [f"{name}-{n}" if n > 1 else name for name in present for n in range(1, int(wanted.get(name, "1")) + 1)]


def _chosen_settings() -> dict[str, str]:
    """Read OPSLEDGER_POSTGRES_SETTINGS ("shared_buffers=1GB,max_wal_size=8GB")."""
    text = os.environ.get("OPSLEDGER_POSTGRES_SETTINGS", "")
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def _lock(instance: Instance) -> IO[str]:
    make_credentials(instance)
    for folder in (instance.run, instance.logs):
        folder.mkdir(mode=0o700, exist_ok=True)
    lock = (instance.run / "supervisor.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise RunnerError("already_running", f"{instance.home} is already supervised", "opsledger status") from error
    return lock


def main() -> int:
    """Run until asked to stop. Exit status 1: nothing was left running, the state file says why."""
    parser = argparse.ArgumentParser(prog="opsledger-supervisor")
    parser.add_argument("--foreground", action="store_true")
    foreground = parser.parse_args().foreground
    try:
        instance = Instance.from_environment()
        lock = _lock(instance)
    except RunnerError as error:
        print(error, file=sys.stderr)
        return 1
    stopping: list[int] = []
    with lock, signals(stopping) as wakeup:
        write_pid(instance.pid_file("supervisor"), os.getpid())
        try:
            return Supervisor(instance, make_credentials(instance)[0], foreground=foreground).run(wakeup, stopping)
        finally:
            instance.pid_file("supervisor").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
