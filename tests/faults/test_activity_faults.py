"""The activity service's own tooth: an identity is remembered only together with what it stands for.

The check is the same for the real service and for one broken on purpose: a check that cannot tell them apart proves
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import pytest

from services.activity import store
from services.activity.decision import Decision
from services.kernel.database import Connection
from services.kernel.ledger import Ledger
from tests.activity.conftest import activity, db, org, second_database  # noqa: F401  fixtures
from tests.activity.given import Running, post

pytestmark = pytest.mark.timeout(120)

EVENTS, EVERY = 40, 3


async def lost(activity: Running, monkeypatch: pytest.MonkeyPatch) -> int:  # noqa: F811
    """Send events while the database fails every third commit; resend what is not answered; return what is missing."""
    write, writes = Ledger.write, 0

    async def failing(self: Ledger, conn: Connection, drafts) -> Mapping[int, tuple[str, int]]:
        nonlocal writes
        placed = await write(self, conn, drafts)
        writes += 1
        if writes % EVERY == 0:
            raise ConnectionResetError("lost on purpose")
        return placed

    monkeypatch.setattr(Ledger, "write", failing)

    async def until_answered(number: int) -> None:
        for _ in range(50):
            answer = await activity.post([post(f"k{number}")])
            if answer.status_code == 200:
                assert answer.json()["results"][0]["outcome"] in ("recorded", "duplicate")
                return
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.01)
        raise AssertionError("never answered")

    for start in range(0, EVENTS, 4):
        await asyncio.gather(*(until_answered(number) for number in range(start, start + 4)))
    monkeypatch.setattr(Ledger, "write", write)
    assert writes > EVERY
    return EVENTS - await activity.count()


async def test_what_is_answered_is_recorded_once_though_commits_fail(activity, monkeypatch) -> None:  # noqa: F811
    assert await lost(activity, monkeypatch) == 0


async def test_remembering_the_identity_before_the_record_is_caught(activity, db, monkeypatch) -> None:  # noqa: F811
    write = store.write_decision

    async def in_a_transaction_of_its_own(
        conn: Connection, done: Decision, now: datetime, messages: dict[bytes, str | None]
    ) -> None:
        async with db.tx() as own:
            await write(own, done, now, messages)

    monkeypatch.setattr(store, "write_decision", in_a_transaction_of_its_own)
    assert await lost(activity, monkeypatch) != 0
