"""A whole system started through the command line, as its operator would; for the tests and the benchmarks."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.local.instance import PROJECT, Credentials, Instance, load_credentials
from deploy.local.process import port_is_free, running_pid, wait_until

COMMAND = [sys.executable, "-m", "services.cli"]


@dataclass
class RunningSystem:
    """`settings` are further environment variables (OPSLEDGER_ACTIVITY_SHARDS, OPSLEDGER_REPLICAS, ...)."""

    home: Path = field(default_factory=lambda: _home())
    base_port: int = field(default_factory=lambda: free_base_port())
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def instance(self) -> Instance:
        return Instance(self.home, self.base_port)

    @cached_property
    def credentials(self) -> Credentials:
        return load_credentials(self.instance)

    @property
    def environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("OPSLEDGER_")}
        return {**clean, **self.settings, "OPSLEDGER_HOME": str(self.home), "OPSLEDGER_PORT": str(self.base_port)}

    def url(self, service: str) -> str:
        return self.instance.url(service)

    @property
    def nats_url(self) -> str:
        return f"nats://127.0.0.1:{self.instance.port('nats')}"

    def dsn(self, service: str) -> str:
        """A service's database as its own role."""
        name, password = f"opsledger_{service}", self.credentials.databases[service]
        return f"postgresql://{name}:{password}@127.0.0.1:{self.instance.port('postgres')}/{name}"

    @property
    def superuser_dsn(self) -> str:
        """The database server as its superuser, who may do what no service may."""
        secret = quote(self.credentials.postgres, safe="")
        return f"postgresql://postgres:{secret}@127.0.0.1:{self.instance.port('postgres')}/postgres"

    def opsledger(self, *arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run one command line; with `check` a failure raises with what it printed."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"opsledger {' '.join(arguments)} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def spawn(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command line without waiting for it."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=self.environment,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def up(self) -> None:
        self.opsledger("up")

    def down(self) -> None:
        self.opsledger("down")

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.opsledger("status", "--json", check=False).stdout))

    def pid(self, process: str) -> int:
        """The pid of a service, of nats, postgres or the supervisor; 0 while it does not run."""
        if process == "supervisor":
            return running_pid(self.instance.pid_file("supervisor")) or 0
        return int(self.instance.state().get("processes", {}).get(process, {}).get("pid") or 0)

    def processes(self) -> list[str]:
        """The names of all processes that the supervisor looks after."""
        return list(self.instance.state().get("processes", {}))

    def kill(self, process: str, timeout: float = 30.0) -> int:
        """kill -9 one process; returns its pid. One that is just being restarted is waited for."""
        assert wait_until(lambda: self.pid(process) != 0, timeout, every=0.05), f"{process} does not run"
        pid = self.pid(process)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_restarted(self, process: str, old_pid: int, timeout: float = 30.0) -> None:
        """Wait until another pid stands in the place of a killed one."""
        assert wait_until(lambda: self.pid(process) not in (0, old_pid), timeout, every=0.05), f"{process} stays away"

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.opsledger("down", check=False)
        shutil.rmtree(self.home, ignore_errors=True)


def _home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="opsledger-system-"))
    home.chmod(0o711)
    return home


def free_base_port() -> int:
    """Return a base whose eight ports are free, away from what systems hand out to outgoing connections."""
    while True:
        base = random.randrange(10_000, 32_000, 10)
        if all(port_is_free(base + offset) for offset in range(8)):
            return base
