"""A later version's optional fields: who writes is strict, who reads goes on without them and keeps nothing wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import services.activity.app
import services.kpi.app
import services.org.app
from contracts.activity import IntakeAnswer
from contracts.envelope import commit_hash, genesis_hash, read_as
from contracts.registry import CONTEXTS, EVENTS
from services.kernel.archive import append_foreign
from services.kernel.codec import Commit, Envelope, decode_events, encode_body
from services.kernel.database import Connection, Database
from services.kernel.ledger import Ledger
from services.kernel.migrate import migrate
from services.kernel.projection import Projection, create_version, schema_of, set_path
from services.kernel.settings import Settings
from services.kpi.roster import Rosters
from tests.kernel.given import Raised

SAMPLES = Path(__file__).parent.parent / "contracts" / "samples"
FREE = {"data", "document", "positions", "checklist", "query", "week"}  # maps whose keys are content, not fields


def with_later_fields(value: Any) -> Any:
    """Return a document with a field more in each of its objects, down to the innermost."""
    if isinstance(value, list):
        return [with_later_fields(item) for item in value]
    if not isinstance(value, dict):
        return value
    more = {key: item if key in FREE else with_later_fields(item) for key, item in value.items()}
    return {**more, "added_later": {"deep": 7}}


def samples(context: str, *, later: bool) -> list[dict[str, Any]]:
    found = []
    for name in CONTEXTS[context]:
        event = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
        found.append({**event, "data": with_later_fields(event["data"]), "later": 1} if later else event)
    return found


def commit_of(context: str, ledger: str, *, later: bool) -> Commit:
    body, encoding = encode_body([json.dumps(event).encode() for event in samples(context, later=later)])
    ledger_id = f"{ledger}/later-fields"
    bare = Commit(ledger, ledger_id, 1, 1, genesis_hash(ledger_id), b"", b'{"principal":"system"}', encoding, body)
    digest = commit_hash(ledger_id, 1, bare.previous, bare.meta, body)
    return Commit(ledger, ledger_id, 1, 1, bare.previous, digest, bare.meta, encoding, body)


@pytest.mark.parametrize("name", sorted(name for name in EVENTS if (SAMPLES / f"{name}.json").exists()))
def test_an_event_is_read_without_what_its_reader_does_not_know(name: str) -> None:
    model = EVENTS[name]
    sample = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    later = with_later_fields(sample["data"])
    with pytest.raises(ValidationError, match="added_later"):
        model.model_validate(later)  # who decides may not invent a field
    body = json.dumps([{**sample, "data": later}]).encode()
    assert decode_events(body, "identity")[0].read(model) == model.model_validate_json(json.dumps(sample["data"]))


def test_a_publisher_reads_a_later_answer() -> None:
    result = {"index": 0, "outcome": "recorded", "added_later": 1}
    answer = read_as(IntakeAnswer, json.dumps({"results": [result], "position": "activity.0:1", "more": 2}).encode())
    assert answer == IntakeAnswer.model_validate({"results": [{"index": 0, "outcome": "recorded"}],
                                                  "position": "activity.0:1"})  # fmt: skip


def test_an_aggregates_events_are_read_likewise() -> None:
    event = Envelope(id="1", source="s", type="test.raised.v1", data=b'{"counter":"a","by":2,"later":1}')  # type: ignore[arg-type]
    assert event.read(Raised) == Raised(counter="a", by=2)


PROJECTIONS: list[tuple[str, str]] = [
    ("activity", "identities"), ("activity", "trust"), ("kpi", "org_facts"), ("kpi", "facts"), ("kpi", "trust"),
]  # fmt: skip


def projections(service: str) -> Sequence[Projection]:
    if service == "activity":
        return services.activity.app.projections()
    return services.kpi.app.projections(Settings(service="kpi"))


def test_every_projection_is_looked_at() -> None:
    assert [(name, one.name) for name in ("activity", "kpi") for one in projections(name)] == PROJECTIONS


@pytest.mark.parametrize(("service", "name"), PROJECTIONS)
async def test_a_projection_folds_to_the_same_rows(service: str, name: str, database: str) -> None:
    await migrate(database, service)
    db = await Database.open(database, size=2)
    try:
        folded = []
        for version, later in ((1, False), (2, True)):
            projection = next(one for one in projections(service) if one.name == name)
            ledger = projection.ledgers[0]
            commit = commit_of(ledger.partition(".")[0], ledger, later=later)
            async with db.tx() as conn:
                await create_version(conn, projection, version)
                await set_path(conn, [schema_of(name, version)])
                await projection.apply(conn, [commit])
                folded.append(await _read_model(conn, name, version))
        assert folded[0] == folded[1]
        assert any(folded[0].values())
    finally:
        await db.close()


async def _read_model(conn: Connection, name: str, version: int) -> dict[str, Any]:
    """What is read of a projection's tables: the figures' organisation through its roster, the rest row by row."""
    if name == "org_facts":
        roster = await Rosters().at(conn, version, 1)
        return {"people": roster.people, "accounts": roster.accounts, "units": roster.units}
    tables = await conn.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = $1", schema_of(name, version)
    )
    names = [row["table_name"] for row in tables] or ["public.signing_key", "public.revocation"]
    return {table: [tuple(row) for row in await conn.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")] for table in names}


@pytest.mark.parametrize("service", ["org", "activity", "kpi"])
async def test_healing_writes_the_rows_of_a_later_event(service: str, database: str) -> None:
    await migrate(database, service)
    db = await Database.open(database, size=2)
    try:
        ledger = Ledger(db, service, sharded=service == "activity")
        await ledger.open()
        name = ledger.names[0]
        restore = {
            "org": services.org.app.restore, "activity": services.activity.app.restore, "kpi": services.kpi.app.restore,
        }[service]  # fmt: skip
        assert await append_foreign(ledger, name, [commit_of(service, name, later=True)], restore) == 1
    finally:
        await db.close()
