"""What can happen to a projector that works: it goes on or stands still and says so; it never ends unnoticed."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import asyncpg
import pytest

from services.kernel import poison
from services.kernel.database import Database
from services.kernel.errors import Unavailable
from services.kernel.heal import start_epoch
from services.kernel.projection import read_checkpoint, wait_for
from services.kernel.projector import Forked
from services.kernel.reaction import TodoWorker, put_todo
from services.kernel.rebuild import _prepare, rebuild, start_over, undo
from tests.eventually import eventually
from tests.kernel.given import CONTEXT, Context, Totals
from tests.kernel.test_relay import lose_tail


async def caught_up(context: Context, number: int) -> None:
    assert context.projector is not None
    await eventually(lambda: context.projector.applied.get(CONTEXT) == number, timeout=15)


async def test_a_projector_outlives_a_failure_to_start_over(context: Context, monkeypatch) -> None:
    await context.raise_("a", 1)
    projector = await context.follow()
    await caught_up(context, 1)
    follow, calls = projector._follow, 0

    async def forked(*args):
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Forked("on purpose")
        await follow(*args)

    async def no_epoch(*_):
        raise OSError("the broker is away")

    monkeypatch.setattr(projector, "_follow", forked)
    monkeypatch.setattr(projector, "_forked", no_epoch)
    async with context.db.conn() as conn:  # end the leader's connection: it begins anew
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'opsledger-lock'"
            " AND datname = current_database()"
        )
    await eventually(lambda: calls >= 1, timeout=10)
    await context.raise_("a", 2)
    await caught_up(context, 2)


async def test_a_new_epoch_is_noticed_by_a_projector_that_reads(context: Context) -> None:
    projector = await context.follow()

    async def fresh(db, _projection, reader):
        return await start_over(db, Totals(), reader)

    projector.start_over = fresh
    for by in range(20, 30):
        await context.raise_("a", by)
    await caught_up(context, 10)
    await lose_tail(context, 6)
    await start_epoch(context.ledger, CONTEXT)
    await eventually(lambda: not context.ledger.refusals, timeout=15)
    await context.raise_("a", 100)

    async def told() -> bool:
        return await context.totals() == {"a": sum(range(20, 26)) + 100}

    await eventually(told, timeout=20)
    await eventually(lambda: not projector.alarms, timeout=10)


async def test_too_many_holds_stop_the_projection_where_it_is(context: Context) -> None:
    for _ in range(40):
        await context.raise_("a", 13)
    await context.raise_("a", 1)
    projection = Totals()
    projector = await context.follow(projection)
    await eventually(lambda: projector.alarms, timeout=10)
    await asyncio.sleep(2.5)
    async with context.db.conn() as conn:
        held = await conn.fetchval("SELECT count(*) FROM hold")
        at = await read_checkpoint(conn, "totals", 1, CONTEXT)
    assert held <= 20
    assert at.number <= 20
    projection.poison = None  # the code is mended
    await caught_up(context, 41)
    await eventually(lambda: not projector.alarms, timeout=5)


class ReadsItsTable(Totals):
    async def apply(self, conn, commits) -> None:
        await conn.fetch("SELECT * FROM total")
        await super().apply(conn, commits)


async def test_a_table_changed_below_a_prepared_statement_holds_nothing(context: Context) -> None:
    await context.follow(ReadsItsTable())
    for n in range(6):
        await context.raise_("a", 1)
        await caught_up(context, n + 1)
    async with context.db.conn() as conn:
        await conn.execute("ALTER TABLE p_totals_1.total ADD COLUMN more int")
    for n in range(6, 18):
        await context.raise_("a", 1)
        await caught_up(context, n + 1)
    async with context.db.conn() as conn:
        assert await conn.fetchval("SELECT count(*) FROM hold") == 0


async def test_a_damaged_disk_or_want_of_memory_is_no_poison() -> None:
    for error in (asyncpg.DataCorruptedError, asyncpg.InternalServerError, MemoryError, asyncpg.DiskFullError):
        assert issubclass(error, poison.NEVER_POISON)
    assert not issubclass(asyncpg.DataError, poison.NEVER_POISON)


async def test_an_alarm_ends_when_what_it_was_about_is_over(context: Context, monkeypatch) -> None:
    await context.raise_("a", 1)
    projector = await context.follow()
    await caught_up(context, 1)
    projector.alarms[CONTEXT] = "something that has passed"
    await eventually(lambda: not projector.alarms, timeout=5)


async def test_waiting_looks_at_every_projections_grounds(context: Context) -> None:
    async with context.db.conn() as conn:
        await conn.execute(
            "INSERT INTO projection VALUES ('one', 1, 2), ('two', 1, 2), ('org', 1, 2);"
            "INSERT INTO checkpoint (projection, version, ledger, number, rests_on) VALUES"
            " ('one', 1, 'act', 5, '{\"base\": [1, 9]}'), ('two', 1, 'act', 5, '{\"base\": [1, 10]}'),"
            " ('org', 1, 'base', 9, '{}')"
        )
    with pytest.raises(Unavailable, match="base"):  # 10 has not been folded
        await wait_for(context.db, ["one", "two", "org"], {"act": 5}, timeout=0.1)


async def test_undo_does_not_go_back_to_a_rebuild_that_was_killed(context: Context) -> None:
    await context.raise_("a", 1)
    await context.follow()
    await caught_up(context, 1)
    await _prepare(context.db, Totals())  # version 2: its process is killed here
    report = await rebuild(context.db, Totals(), context.reader)
    assert report.switched
    assert await undo(context.db, "totals") == report.live


async def test_a_todo_worker_outlives_an_error_that_nobody_foresaw(context: Context, monkeypatch) -> None:
    done: list[str] = []

    async def handle(key: str, _) -> None:
        done.append(key)

    worker = TodoWorker(context.db, "r", handle, poll=0.05)
    work, calls = worker.work_once, 0

    async def once_broken(limit: int = 64) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("a bug")
        return await work(limit)

    monkeypatch.setattr(worker, "work_once", once_broken)
    await worker.start()
    async with context.db.conn() as conn:
        await put_todo(conn, "r", "k")
    await eventually(lambda: done == ["k"], timeout=10)
    await worker.stop()


class SlowToCompare(Totals):
    comparable: ClassVar[dict[str, str]] = {"total": "SELECT counter, sum, pg_sleep(0.6)::text AS s FROM total"}


async def test_a_comparison_may_take_longer_than_any_other_statement(context: Context, database) -> None:
    await context.raise_("a", 1)
    await context.follow(SlowToCompare())
    await caught_up(context, 1)
    impatient = await Database.open(database, size=3, command_timeout=0.3)
    report = await rebuild(impatient, SlowToCompare(), context.reader)
    assert report.switched
    await impatient.close()
