"""Servers and processes of a run: Postgres and NATS with durable settings, the load generator, the bare script.

Everything lives in one temporary folder and ends with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import nats

from deploy.local.nats import USERS, NatsServer
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import free_port, port_is_free, wait_until
from tests.benchmarks import bare

PROJECT = Path(__file__).resolve().parents[2]


class Process:
    """A child that answers on its port."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.popen = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=PROJECT, env=dict(os.environ))

    @property
    def pid(self) -> int:
        return self.popen.pid

    def stop(self) -> None:
        self.popen.kill()
        self.popen.wait()


class Generator:
    """The load generator's process: `prepare`, then `go`, or `start` and `finish`."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.generator"],
            cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.popen.pid

    def prepare(self, **order: Any) -> None:
        """Have the batches encoded, before the clock runs."""
        self._say(json.dumps(order))
        if self._hear() != "ready":
            raise RuntimeError("the generator is not ready")

    def start(self) -> None:
        self._say("go")

    def finish(self) -> dict[str, Any]:
        """Wait for the end; returns the generator's account. Raises when a request was refused."""
        result: dict[str, Any] = self._hear()
        if result["errors"]:
            raise RuntimeError(f"the generator met: {result['errors']}")
        return result

    def stop(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def _say(self, line: str) -> None:
        if self.popen.stdin is not None:
            self.popen.stdin.write(line + "\n")
            self.popen.stdin.flush()

    def _hear(self) -> Any:
        line = self.popen.stdout.readline() if self.popen.stdout is not None else ""
        if not line:
            raise RuntimeError("the generator has ended")
        return json.loads(line)


class Servers:
    """Postgres with fsync and NATS with `sync_interval: always`, apart from any instance of the system."""

    def __init__(self, folder: Path) -> None:
        self.postgres = EmbeddedPostgres(
            place=folder / "postgres", port=free_port(), password=secrets.token_hex(12), log=folder / "postgres.log"
        )
        self.nats = NatsServer(
            place=folder / "nats", port=free_port(), users={user: secrets.token_hex(8) for user in USERS},
            log=folder / "nats.log", name="bench",
        )  # fmt: skip

    def start(self) -> None:
        self.postgres.start()
        self.nats.start()

    def stop(self) -> None:
        self.postgres.kill()
        self.nats.kill()

    @property
    def pids(self) -> list[int]:
        return [pid for pid in (self.postgres.pid, self.nats.pid) if pid is not None]

    @property
    def nats_url(self) -> str:
        """The broker's address with the operator's name and password in it."""
        return f"nats://admin:{self.nats.users['admin']}@{self.nats.host}:{self.nats.port}"

    async def database(self, schema: str) -> str:
        """Return the address of a fresh database with these tables."""
        name = f"bench_{secrets.token_hex(4)}"
        await sql(self.postgres.dsn(), f"CREATE DATABASE {name}")
        await sql(self.postgres.dsn(name), schema)
        return self.postgres.dsn(name)

    async def stream(self, name: str, *subjects: str) -> None:
        """Make a stream anew, on disk."""
        user = "admin"
        nc = await nats.connect(self.nats.url, user=user, password=self.nats.users[user])
        js = nc.jetstream()
        if name in {info.config.name for info in await js.streams_info()}:
            await js.delete_stream(name)
        await js.add_stream(name=name, subjects=list(subjects))
        await nc.close()


class Bare:
    """The bare script, running on given servers."""

    path = "/"
    probe = "/?person={person}&at_least={position}"

    def __init__(self, servers: Servers, batch: int = 128) -> None:
        self.servers = servers
        self.batch = batch
        self.dsn = ""
        self.address = ""
        self.probe_address = ""
        self.processes: list[Process] = []

    def token(self) -> str:
        """The bare script asks nobody who he is."""
        return ""

    reader_token = token

    async def start(self) -> None:
        self.dsn = await self.servers.database(bare.SCHEMA)
        await self.servers.stream(bare.STREAM, bare.SUBJECT)
        self.address = self._run("ingest")
        self.probe_address = self._run("projector")

    async def fold_anew(self) -> None:
        """Start only a projector, on a database of its own, from the stream's beginning."""
        self.dsn = await self.servers.database(bare.SCHEMA)
        self.probe_address = self._run("projector")

    def _run(self, role: str) -> str:
        port = free_port()
        arguments = (role, str(port), self.dsn, self.servers.nats_url, str(self.batch))
        self.processes.append(Process("tests.benchmarks.bare", *arguments))
        wait_for_port(port)
        return f"127.0.0.1:{port}"

    async def head(self) -> int:
        """Return the number of the last commit."""
        conn = await asyncpg.connect(self.dsn)
        number = await conn.fetchval("SELECT max(number) FROM commit")
        await conn.close()
        return int(number)

    def stop(self) -> None:
        for process in self.processes:
            process.stop()

    @property
    def pids(self) -> list[int]:
        return [*self.servers.pids, *(process.pid for process in self.processes)]

    async def visible(self, position: str, patience: float = 120.0) -> None:
        """Wait until the day facts hold everything up to a position."""
        wanted = int(position.rpartition(":")[2])
        conn = await asyncpg.connect(self.dsn)
        deadline = time.monotonic() + patience
        while await conn.fetchval("SELECT number FROM checkpoint") < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError("the bare projector did not get there")
            await asyncio.sleep(0.01)
        await conn.close()


async def sql(dsn: str, script: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(script)
    finally:
        await conn.close()


def wait_for_port(port: int, patience: float = 20.0) -> None:
    """Wait until something listens on the port."""
    if not wait_until(lambda: not port_is_free(port), patience):
        raise TimeoutError(f"nothing listens on port {port}")


@contextmanager
def ending(*parts: Any) -> Iterator[None]:
    """Stop every part at the end, whatever happens."""
    try:
        yield
    finally:
        for part in parts:
            part.stop()
