"""Every figure that the running service shows is the oracle's: through ledgers, projections, rules and HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from contracts.activity import ActivityRecorded
from contracts.org import (
    AbsencesChanged,
    AccountRegistered,
    MembershipsChanged,
    PersonRegistered,
    SigningKeyPublished,
    UnitDefined,
)
from tests.eventually import eventually
from tests.kpi.given import KEY, KEY_ID, World, running, token, void
from tests.oracle import expected_of, standing
from tests.oracle.compare import assert_equal
from tests.oracle.generator import generate

DIRECTOR = token("0", ("director", None))


async def settle_organisation(world: World, document: dict[str, Any]) -> str:
    """Say the whole organisation; return the position."""
    await world.say(*[UnitDefined.model_validate({**unit, "order": 0}) for unit in document["units"]])
    at = ""
    for person in document["people"]:
        who = {"person": person["person"]}
        at = await world.say(
            PersonRegistered.model_validate({**who, "name": person["name"]}),
            MembershipsChanged.model_validate({**who, "memberships": person["memberships"]}),
            AbsencesChanged.model_validate({**who, "absences": person["absences"]}),
        )
    known = AccountRegistered.model_fields
    for account in document["accounts"]:
        at = await world.say(AccountRegistered.model_validate({k: v for k, v in account.items() if k in known}))
    return at


def recorded(done: Any, number: int) -> ActivityRecorded:
    data = {
        "platform": done.platform,
        "account": done.account[1] if done.account else None,
        "on_topic": done.on_topic,
        "form": done.form,
        "counterpart": done.counterpart,
        "campaign": done.campaign,
        "quantity": done.quantity,
    }
    noon = datetime(done.day.year, done.day.month, done.day.day, 4, tzinfo=UTC)
    return ActivityRecorded(
        source="/test", id=str(number), type=done.type, subject=done.subject, time=noon, day=done.day,
        data={key: value for key, value in data.items() if value is not None}, publisher="test",
    )  # fmt: skip


async def test_every_figure_is_the_oracles(database, nats_server, policy: dict[str, Any]) -> None:
    scenario = generate(5, people=18, events=400)
    async with running(database, nats_server, shards=2) as world:
        await world.say(SigningKeyPublished(key_id=KEY_ID, jwk=json.dumps(KEY.as_dict(private=False))))
        await eventually(lambda: world.kpi.projectors["trust"].applied.get("org", 0) >= 1)
        assert (await world.post("/v1/policies", DIRECTOR, policy)).status_code == 201
        events = [recorded(one, n) for n, one in enumerate(standing(scenario.organisation, scenario.deliveries))]
        positions: list[str] = []
        for shard in (0, 1):
            mine = [event for event in events if sum(event.subject.encode()) % 2 == shard]
            wrong = [
                event.model_copy(update={"id": f"w{event.id}", "day": event.day + timedelta(days=1)})
                for event in mine[::3]
            ]
            positions += [
                await world.happen(*mine[start : start + 40], *wrong[start : start + 40], shard=shard)
                for start in range(0, len(mine), 40)
            ]
            positions.append(await world.happen(*[void(event) for event in wrong], shard=shard))
        # The organisation comes last: everything in it is backdated to activities that were recorded before.
        at_least = ",".join([*positions, await settle_organisation(world, scenario.organisation)])
        expected = expected_of(scenario.organisation, scenario.deliveries, scenario.periods)
        world.client.headers["Authorization"] = f"Bearer {DIRECTOR}"
        client: httpx.AsyncClient = world.client
        assert len(expected) > 500
        await assert_equal(client, expected, at_least=at_least)
