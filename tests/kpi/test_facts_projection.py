"""Day facts: the same rows in any batching and interleaving, with voids, after rebuilds, and with poison held."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from contracts.activity import ActivityData, ActivityRecorded, VoidAwaited
from services.kernel.codec import Commit, encode_body, encode_event
from services.kpi import decode
from services.kpi.projections.facts import FactsProjection, fold
from tests.kpi.given import activity, void

DAY = date(2026, 10, 14)
WORDS = ["forum.post", "weibo.post", "blog.exchange_comment", "email.sent"]


def commit_of(number: int, events: Sequence[Any], ledger: str = "activity.0") -> Commit:
    encoded = [
        encode_event(event, event_id=str(i), source="/opsledger/activity", time=datetime(2026, 10, 14, tzinfo=UTC))
        for i, event in enumerate(events)
    ]
    body, encoding = encode_body(encoded)
    return Commit(ledger, f"{ledger}/x", 1, number, b"", b"", b"{}", encoding, body)


def random_commits(seed: int, count: int = 40) -> list[Commit]:
    """Commits of activities and voids of earlier ones, in two shards by person."""
    chance = random.Random(seed)
    recorded: list[ActivityRecorded] = []
    commits: list[Commit] = []
    for number in range(1, count + 1):
        shard = number % 2
        events: list[Any] = []
        for index in range(chance.randint(1, 12)):
            person = str(chance.randint(0, 3) * 2 + shard)
            one = activity(
                person, chance.choice(WORDS), DAY + timedelta(days=chance.randint(-20, 20)),
                event_id=f"{number}-{index}", account=chance.choice(["a", "b"]), quantity=chance.randint(1, 9),
                platform=chance.choice([None, "forum", "tianya"]), on_topic=chance.random() < 0.8,
                counterpart=chance.choice([None, "99"]),
            )  # fmt: skip
            events.append(one)
            recorded.append(one)
            mine = [one for one in recorded if int(one.subject) % 2 == shard]
            if chance.random() < 0.2:
                target = chance.choice(mine)
                recorded.remove(target)
                events.append(void(target))
        commits.append(commit_of((number + 1) // 2, events, f"activity.{shard}"))
    return commits


@pytest.fixture
async def conn(database):
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


async def rows_of(conn: asyncpg.Connection) -> tuple[set[Any], set[Any]]:
    queries = FactsProjection.comparable
    facts, touched = [[tuple(row) for row in await conn.fetch(query)] for query in queries.values()]
    assert len(set(facts)) == len(facts)
    return set(facts), set(touched)


async def folded(conn: asyncpg.Connection, name: str, flushes: Sequence[Sequence[Commit]]) -> Any:
    """The rows after applying the flushes, each in a transaction of its own."""
    await conn.execute(f"CREATE SCHEMA {name}; SET search_path = {name}")
    projection = FactsProjection(["activity.0", "activity.1"])
    await projection.create(conn)
    for commits in flushes:
        async with conn.transaction():
            await projection.apply(conn, commits)
    return await rows_of(conn)


@pytest.mark.parametrize("seed", range(4))
async def test_any_batching_and_interleaving_gives_the_same_rows(conn, seed: int) -> None:
    commits = random_commits(seed)
    even, odd = ([c for c in commits if c.ledger == f"activity.{n}"] for n in (0, 1))
    single = await folded(conn, "single", [[commit] for commit in commits])
    one_shard_first = await folded(conn, "shards", [odd, even])
    chunks = await folded(conn, "chunks", [even[i : i + 7] for i in range(0, 20, 7)] + [odd[:3], odd[3:]])
    assert single == one_shard_first == chunks
    quantities = [total[0] for days in fold(commits).values() for total in days.values()]
    assert sum(row[9] for row in single[0]) == sum(quantities)


async def test_another_shards_numbers_hide_no_change_of_ones_own(conn) -> None:
    """What is remembered of a person is taken as current while the revision stands: each change must move it."""
    named = activity("2", "blog.exchange_comment", DAY, counterpart="1")
    flushes = [[commit_of(900, [named], "activity.1")]]
    seen = []
    for number in (1, 2):
        flushes.append([commit_of(number, [activity("1", "forum.post", DAY, account="a", event_id=str(number))])])
        _, touched = await folded(conn, f"after_{number}", flushes)
        seen.append({row[2] for row in touched if row[0] == "1"})
    assert seen[0] != seen[1]


async def test_a_flush_that_was_undone_leaves_no_trusted_number(conn) -> None:
    await conn.execute("CREATE SCHEMA s; SET search_path = s")
    projection = FactsProjection()
    await projection.create(conn)
    first, second = (commit_of(n, [activity("1", "forum.post", DAY, account="a", event_id=str(n))]) for n in (1, 2))
    transaction = conn.transaction()
    await transaction.start()
    await projection.apply(conn, [first])
    await transaction.rollback()
    async with conn.transaction():
        savepoint = conn.transaction()
        await savepoint.start()
        await projection.apply(conn, [first])
        await savepoint.rollback()
        await projection.apply(conn, [first])
    async with conn.transaction():
        await projection.apply(conn, [second])
    facts, _ = await rows_of(conn)
    assert [(row[0], row[9], row[10], row[11]) for row in facts] == [("1", 2, 2, 2)]


async def test_a_platform_by_default_and_the_same_one_given_are_one_series(conn) -> None:
    events = [
        activity("1", "weibo.post", DAY, account="a", event_id="1"),
        activity("1", "weibo.post", DAY, account="a", event_id="2", platform="weibo"),
    ]
    facts, _ = await folded(conn, "s", [[commit_of(1, events)]])
    assert [(row[2], row[9]) for row in facts] == [("weibo", 2)]


def test_the_fast_decoding_equals_the_contracts() -> None:
    """msgspec reads the same as pydantic, over everything a commit may hold."""
    for commit in random_commits(7):
        slow: Counter[tuple[Any, ...]] = Counter()
        for event in commit.events():
            if event.type == ActivityRecorded.event_type:
                _add(slow, ActivityRecorded.model_validate_json(bytes(event.data)), 1)
            else:
                data = json.loads(bytes(event.data))
                _add(slow, ActivityRecorded.model_validate(data["counted"]), -1)
        fast: Counter[tuple[Any, ...]] = Counter()
        for sign, one in decode.counted(commit):
            data = one.data
            key = (one.subject, one.type, one.day, data.account, data.platform, data.on_topic, data.form,
                   data.counterpart, data.campaign)  # fmt: skip
            fast[key] += sign * data.quantity
        assert fast == slow


def _add(total: Counter[tuple[Any, ...]], event: ActivityRecorded, sign: int) -> None:
    data = ActivityData.model_validate(event.data)
    key = (event.subject, event.type, event.day.isoformat(), data.account, data.platform, data.on_topic, data.form,
           data.counterpart, data.campaign)  # fmt: skip
    total[key] += sign * data.quantity


def test_what_counts_nothing_and_what_is_unknown_is_passed_over() -> None:
    ref = activity("1", "forum.post", DAY)
    awaited = VoidAwaited(target={"source": "/x", "id": "1"}, reason="r", by="b")
    known = commit_of(1, [awaited, ref])
    strange = b'{"id":"1","source":"s","type":"activity.later.v9","data":{"subject":["not","text"]}}'
    event = encode_event(ref, event_id="2", source="s", time=datetime(2026, 10, 14, tzinfo=UTC))
    body, encoding = encode_body([strange, event])
    later = Commit("activity.0", "x", 1, 2, b"", b"", b"{}", encoding, body)
    assert [len(list(decode.counted(commit))) for commit in (known, later)] == [1, 1]
    assert list(decode.counted(later.with_only((0,)))) == []
