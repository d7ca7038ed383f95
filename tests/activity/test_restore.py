"""What healing and import write again is what intake had written: the commits alone know every identity."""

from __future__ import annotations

from services.activity.app import restore
from services.kernel.archive import read_commits
from tests.activity.given import post, void

TABLES = "activity, void_waiting, activity_hold, activity_hold_reason, catalogue, aggregate, aggregate_event"
WRITTEN = {
    "activity": "SELECT key, content, state, shard, source, id, type, recorded_ref IS NULL, voided_ref, held_ref,"
    " CASE WHEN state IN (1, 2, 3) THEN (subject, day, at, platform, account, quantity, on_topic, form, counterpart,"
    " campaign, project, title, publisher)::text END FROM activity ORDER BY key",
    "void_waiting": "SELECT * FROM void_waiting ORDER BY 1",
    "activity_hold": "SELECT key, event, content, publisher FROM activity_hold ORDER BY 1",
    "activity_hold_reason": "SELECT * FROM activity_hold_reason ORDER BY 1, 2",
    "catalogue": "SELECT * FROM catalogue ORDER BY name",
    "aggregate_event": "SELECT * FROM aggregate_event ORDER BY 1, 2",
}


async def test_the_commits_alone_bring_every_line_back(activity, db) -> None:
    at = "2026-10-17T09:30:00.125+08:00"
    await activity.send(
        post("1"),
        post("2", time=at),
        post("3", subject="E2"),
        post("4", subject="nobody"),
        post("5", subject="nobody-else"),
        void("3", "v3"),
        void("3", "v3-again"),
        void("later", "v-later"),
        void("never", "v-never"),
        void("5", "v5"),
        void("v3", "v-of-a-void"),
        void("v-later", "v-of-a-waiting-void"),
    )
    await activity.send(post("later"), post("1", subject="E2"))
    commits = await read_commits(db, "activity.0", 0, 500)
    async with db.conn() as conn:
        undone = conn.transaction()
        await undone.start()
        try:
            before = {name: await conn.fetch(query) for name, query in WRITTEN.items()}
            refs = {row["number"]: row["ref"] for row in await conn.fetch("SELECT number, ref FROM ledger_commit")}
            await conn.execute(f"TRUNCATE {TABLES}")
            for commit in commits:
                await restore(conn, commit, refs[commit.number])
            for name, query in WRITTEN.items():
                assert await conn.fetch(query) == before[name], name
        finally:
            await undone.rollback()
    assert len(before["activity"]) == 14
