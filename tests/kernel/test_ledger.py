"""The ledger: dense numbers, a chain of hashes, optimistic concurrency, groups, limits, idempotent commands."""

from __future__ import annotations

import asyncio
import hashlib

import asyncpg
import pytest

from contracts.envelope import genesis_hash
from services.kernel.commands import execute
from services.kernel.errors import Refusal, VersionConflict
from services.kernel.ledger import Work
from tests.kernel.given import CONTEXT, Context, Raised


async def test_commits_are_numbered_densely_and_chained(context: Context) -> None:
    await asyncio.gather(*(context.raise_(f"c{n % 7}", n + 20) for n in range(100)))
    commits = await context.commits()
    assert [commit.number for commit in commits] == list(range(1, 101))
    previous = genesis_hash(commits[0].ledger_id)
    for commit in commits:
        assert commit.previous == previous
        assert commit.is_intact()
        previous = commit.hash


async def test_a_commit_can_be_neither_changed_nor_deleted(context: Context) -> None:
    await context.raise_("a", 1)
    async with context.db.conn() as conn:
        for statement in ("UPDATE ledger_commit SET events = 2", "DELETE FROM ledger_commit", "TRUNCATE ledger_commit"):
            with pytest.raises(asyncpg.RestrictViolationError):
                await conn.execute(statement)


async def test_one_decision_is_one_commit_of_several_events(context: Context) -> None:
    async def decide(work: Work) -> None:
        work.append("a", 0, [Raised(counter="a", by=1), Raised(counter="a", by=2)])
        work.append("b", 0, [Raised(counter="b", by=3)])

    done = await context.committer.submit(decide)
    assert done.positions == {CONTEXT: 1}
    (commit,) = await context.commits()
    assert [(event.aggregate, event.aggregateversion) for event in commit.events()] == [("a", 1), ("a", 2), ("b", 1)]


async def test_an_outdated_decision_is_a_conflict_and_leaves_nothing(context: Context) -> None:
    await context.raise_("a", 1)

    async def outdated(work: Work) -> None:
        work.append("a", 0, [Raised(counter="a", by=5)])

    with pytest.raises(VersionConflict) as refused:
        await context.committer.submit(outdated)
    assert (refused.value.status, refused.value.code) == (409, "version_conflict")
    assert len(await context.commits()) == 1


async def test_a_failing_decision_does_not_harm_its_group(context: Context) -> None:
    async def broken(work: Work) -> None:
        work.append("z", 0, [Raised(counter="z", by=1)])
        raise RuntimeError("mine")

    outcomes = await asyncio.gather(
        *(context.raise_(f"c{n}", 1) for n in range(10)),
        context.committer.submit(broken),
        *(context.raise_(f"d{n}", 1) for n in range(10)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [RuntimeError]
    assert len(await context.commits()) == 20


async def test_an_aggregate_is_loaded_with_what_the_same_decision_appended(context: Context) -> None:
    await context.raise_("a", 1)

    async def decide(work: Work) -> list[int]:
        work.append("a", 1, [Raised(counter="a", by=2)])
        events, version = await work.load("a")
        assert version == 2
        return [Raised.model_validate_json(bytes(event.data)).by for event in events]

    assert (await context.committer.submit(decide)).value == [1, 2]


async def test_ingest_is_split_into_commits_within_the_limit(context: Context) -> None:
    context.ledger.limit = 2000
    events = [
        b'{"id":"%d","source":"s","type":"t","data":"%s"}' % (n, hashlib.sha512(bytes([n])).hexdigest().encode())
        for n in range(50)
    ]

    async def decide(work: Work) -> list[tuple[int, int]]:
        return await work.append_raw(0, events)

    done = await context.committer.submit(decide)
    commits = await context.commits()
    assert len(commits) > 1
    assert all(len(commit.body) <= 2000 for commit in commits)
    assert [event.id for commit in commits for event in commit.events()] == [str(n) for n in range(50)]
    assert sum(count for _, count in done.value) == 50
    assert [done.refs[ref][1] for ref, _ in done.value] == [commit.number for commit in commits]


async def test_the_same_key_and_body_is_answered_from_the_first_commit(context: Context) -> None:
    async def decide(work: Work) -> str:
        work.append("a", await work.version("a"), [Raised(counter="a", by=1)])
        return "new"

    async def repeated(work: Work) -> str:
        return "again"

    async def run(body: bytes) -> tuple[str, dict[str, int]]:
        done = await execute(
            context.committer, decide, principal="p", route="POST /x", key="k1", body=body, repeated=repeated
        )
        return done.value, done.positions

    answers = await asyncio.gather(*(run(b"one") for _ in range(8)))
    assert sorted(value for value, _ in answers) == ["again"] * 7 + ["new"]
    assert len(await context.commits()) == 1
    assert await run(b"one") == ("again", {CONTEXT: 1})
    with pytest.raises(Refusal) as refused:
        await run(b"two")
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")


async def test_a_refused_command_does_not_use_up_its_key(context: Context) -> None:
    async def refuse(work: Work) -> None:
        raise Refusal("no", "not now")

    async def decide(work: Work) -> str:
        work.append("a", 0, [Raised(counter="a", by=1)])
        return "done"

    with pytest.raises(Refusal):
        await execute(context.committer, refuse, principal="p", route="r", key="k")
    assert (await execute(context.committer, decide, principal="p", route="r", key="k")).value == "done"


async def test_decisions_of_one_group_load_what_the_ones_before_them_appended(context: Context) -> None:
    async def raised() -> int:
        async def decide(work: Work) -> int:
            events, version = await work.load("a")
            assert len(events) == version
            work.append("a", version, [Raised(counter="a", by=1)])
            return version

        return (await context.committer.submit(decide)).value

    assert sorted(await asyncio.gather(*(raised() for _ in range(12)))) == list(range(12))


async def test_a_repeat_in_the_same_group_is_answered_with_the_firsts_position(context: Context) -> None:
    decided = 0

    async def decide(work: Work) -> None:
        nonlocal decided
        decided += 1
        work.append("a", await work.version("a"), [Raised(counter="a", by=1)])

    def command():
        return execute(context.committer, decide, principal="p", route="POST /x", key="same")

    done = await asyncio.gather(*(command() for _ in range(5)))
    assert decided == 1
    assert [one.positions for one in done] == [{CONTEXT: 1}] * 5
