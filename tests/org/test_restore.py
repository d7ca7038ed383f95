"""What healing and import write again is what the decisions had written."""

from __future__ import annotations

from services.kernel.archive import read_commits
from services.org.app import restore
from services.org.reading import everything
from tests.org.conftest import Org

TABLES = (
    "unit, post, person, membership, absence, role_grant, account, account_span, publisher, aggregate, aggregate_event"
)


async def test_the_commits_alone_bring_the_organisation_back(org: Org, small: str) -> None:
    await org.apply(small)
    await org.put("/v1/people/1002", {"name": "李大强"})
    await org.put("/v1/people/1002/memberships", {"memberships": [{"unit": "data", "since": "2026-02-01"}]})
    await org.call("DELETE", "/v1/publishers/forum-bot", role="operator")
    await org.post("/v1/units/commercial/retirement", {"on": "2026-12-31"})
    db = org.app.state.org.db
    commits = await read_commits(db, "org", 0, 500)
    async with db.conn() as conn:
        undone = conn.transaction()
        await undone.start()
        try:
            before = await everything(conn)
            versions = await conn.fetch("SELECT * FROM aggregate ORDER BY id")
            events = await conn.fetch("SELECT * FROM aggregate_event ORDER BY aggregate, version")
            refs = {row["number"]: row["ref"] for row in await conn.fetch("SELECT number, ref FROM ledger_commit")}
            await conn.execute(f"TRUNCATE {TABLES}")
            for commit in commits:
                await restore(conn, commit, refs[commit.number])
            assert await everything(conn) == before
            assert await conn.fetch("SELECT * FROM aggregate ORDER BY id") == versions
            assert await conn.fetch("SELECT * FROM aggregate_event ORDER BY aggregate, version") == events
        finally:
            await undone.rollback()
