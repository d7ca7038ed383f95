"""Real infrastructure for the tests: one PostgreSQL a session with a fresh database a test, one NATS server a test."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local.instance import new_account_key
from deploy.local.nats import USERS, NatsServer
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import free_port
from tests.running import RunningSystem

CONTAINERS = os.environ.get("OPSLEDGER_TEST_INFRA") == "containers"  # else the embedded servers


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """A folder that the database's unprivileged account may enter (pytest's own is closed to it)."""
    folder = Path(tempfile.mkdtemp(prefix="opsledger-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(session_folder: Path) -> Iterator[Any]:
    """The session's server; `.dsn()` is the superuser's. Tests that kill a server take `own_postgres`."""
    if CONTAINERS:
        from tests.container_infrastructure import ContainerPostgres

        container = ContainerPostgres()
        container.start()
        yield container
        container.stop()
        return
    # Without fsync: tests kill processes, not machines. The runner's own tests keep it on.
    server = _new_postgres(session_folder / "postgres", {"fsync": "off", "shared_buffers": "128MB"})
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_postgres(session_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server of the test's own with durable settings: .kill(), .start(), .dsn()."""
    place = session_folder / f"postgres-{secrets.token_hex(4)}"
    server = _new_postgres(place, {"shared_buffers": "64MB"})
    server.start()
    yield server
    server.kill()
    shutil.rmtree(place, ignore_errors=True)


def _new_postgres(place: Path, settings: dict[str, str]) -> EmbeddedPostgres:
    return EmbeddedPostgres(
        place=place,
        port=free_port(),
        password=secrets.token_urlsafe(16),
        log=place.with_suffix(".log"),
        settings=settings,
    )


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The address of a fresh, empty database whose owner is an ordinary role."""
    name, password = f"t_{secrets.token_hex(6)}", secrets.token_hex(12)
    sql(postgres.dsn(), f"CREATE ROLE {name} LOGIN PASSWORD '{password}'", f"CREATE DATABASE {name} OWNER {name}")
    yield postgres.dsn(name, name, password)
    sql(postgres.dsn(), f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


@pytest.fixture
def nats_server(session_folder: Path) -> Iterator[NatsServer]:
    """A fresh server with the production's users and permissions: .url .users .store_dir .kill() .start() .wipe()."""
    yield from _run_nats(session_folder, None)


@dataclass(frozen=True)
class Callout:
    """The account key that signs what the authentication call-out answers."""

    seed: str
    public: str


@pytest.fixture
def callout_key() -> Callout:
    """A fresh key; its public half is in the configuration of `nats_with_callout`."""
    return Callout(*new_account_key())


@pytest.fixture
def nats_with_callout(session_folder: Path, callout_key: Callout) -> Iterator[NatsServer]:
    """Like nats_server, but publishers are admitted by whoever answers the call-out as user "org"."""
    yield from _run_nats(session_folder, callout_key.public)


def _run_nats(folder: Path, issuer: str | None) -> Iterator[Any]:
    name = f"nats-{secrets.token_hex(4)}"
    if CONTAINERS:
        from tests.container_infrastructure import ContainerNats

        container = ContainerNats(folder / name, issuer)
        container.start()
        yield container
        container.stop()
        return
    server = NatsServer(
        place=folder / name,
        port=free_port(),
        users={user: secrets.token_hex(8) for user in USERS},
        log=folder / f"{name}.log",
        name=name,
        shards=4,
        callout_issuer=issuer,
    )
    server.start()
    yield server
    server.kill()
    shutil.rmtree(server.place, ignore_errors=True)


def sql(dsn: str, *statements: str) -> None:
    """Run statements one by one, outside any transaction and any event loop of the test."""

    async def run() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            for statement in statements:
                await conn.execute(statement)
        finally:
            await conn.close()

    failures: list[BaseException] = []

    def in_thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


@pytest.fixture(scope="session")
def system() -> Iterator[RunningSystem]:
    """The whole system, started once a session through the command line; tests must not kill its processes."""
    running = RunningSystem(settings={"OPSLEDGER_POSTGRES_SETTINGS": "shared_buffers=128MB"})
    running.up()
    yield running
    running.remove()
