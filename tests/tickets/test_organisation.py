"""What tickets keeps of the organisation: the newest word on each unit, person and publisher."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
from pydantic import BaseModel

from contracts.org import (
    Membership,
    MembershipsChanged,
    PersonRegistered,
    PublisherRegistered,
    PublisherRevoked,
    UnitDefined,
    UnitRetired,
)
from services.kernel.codec import Commit, encode_body, encode_event
from services.tickets.projections.organisation import OrganisationProjection

AT = datetime(2026, 3, 2, tzinfo=UTC)
STORY: list[BaseModel] = [
    UnitDefined(unit="centre", kind="centre", name_zh="中心", name_en="Centre"),
    UnitDefined(unit="service", kind="department", name_zh="客服部", name_en="Service", parent="centre"),
    PersonRegistered(person="1001", name="王"),
    PersonRegistered(person="1001", name="王芳"),
    MembershipsChanged(person="1001", memberships=[Membership(unit="centre", since=date(2025, 1, 1))]),
    MembershipsChanged(person="1001", memberships=[Membership(unit="service", since=date(2026, 1, 1))]),
    PublisherRegistered(publisher="web", types=["*"], sources=[], contexts=["tickets"]),
    PublisherRegistered(publisher="old", types=["a"], sources=["/o"], contexts=["activity"]),
    PublisherRevoked(publisher="old"),
    UnitRetired(unit="service", on=date(2027, 1, 1)),
]


def commit_of(number: int, models: Sequence[BaseModel]) -> Commit:
    events = [encode_event(m, event_id=f"{number}-{i}", source="org", time=AT) for i, m in enumerate(models)]
    body, encoding = encode_body(events)
    return Commit("org", "org/x", 1, number, b"", b"", b"{}", encoding, body)


async def folded(dsn: str, schema: str, batches: list[list[Commit]]) -> dict[str, list[tuple[Any, ...]]]:
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}")
        projection = OrganisationProjection()
        await projection.create(conn)
        for batch in batches:
            await projection.apply(conn, batch)
        tables = ("unit", "person", "membership", "publisher")
        return {name: sorted(map(tuple, await conn.fetch(f"SELECT * FROM {name}")), key=repr) for name in tables}
    finally:
        await conn.close()


async def test_the_newest_word_stands_however_the_commits_come(database: str) -> None:
    commits = [commit_of(number, [model]) for number, model in enumerate(STORY, 1)]
    rows = await folded(database, "whole", [commits])
    assert await folded(database, "single", [[one] for one in commits]) == rows
    assert await folded(database, "twice", [commits, commits]) == rows
    assert rows["person"] == [("1001", "王芳")]
    assert rows["membership"] == [("1001", "service", date(2026, 1, 1), None)]
    assert rows["publisher"] == [
        ("old", ["a"], ["/o"], ["activity"], True),
        ("web", ["*"], ["web"], ["tickets"], False),
    ]
    assert rows["unit"][1] == ("service", "department", "centre", "客服部", "Service", 0, date(2027, 1, 1))
