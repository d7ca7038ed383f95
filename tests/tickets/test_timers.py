"""Time brings events at their exact instants, however late the process woke, and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.eventually import eventually
from tests.tickets.desk import DIRECTOR, Desk, levels, running, service


def _moment(**ago: int) -> datetime:
    return (datetime.now(UTC) - timedelta(**ago)).replace(microsecond=0)


def _at(data: dict) -> datetime:
    return datetime.fromisoformat(data["at"])


async def _timers(desk: Desk) -> int:
    async with desk.db.conn() as conn:
        return await conn.fetchval("SELECT count(*) FROM ticket_timer WHERE due_at < now()")


async def test_a_broken_promise_is_said_at_the_instant_at_which_it_broke(desk: Desk) -> None:
    await desk.do("POST", "/v1/service-levels", levels(), DIRECTOR)
    opened = _moment(hours=6)
    ticket = await desk.ticket(await desk.customer(), at=opened.isoformat())
    await eventually(lambda: _none_due(desk))
    told = [(name, data["clock"], _at(data) - opened) for name, data in (await desk.events(ticket))[1:]]
    assert told == [
        ("clock_warned", "first_response", timedelta(minutes=48)),
        ("clock_breached", "first_response", timedelta(hours=1)),
        ("clock_warned", "resolution", timedelta(hours=3, minutes=12)),
        ("clock_breached", "resolution", timedelta(hours=4)),
    ]


async def _none_due(desk: Desk) -> bool:
    return await _timers(desk) == 0


async def test_what_fell_due_while_the_service_was_down_is_said_afterwards_to_the_second(database, nats_server) -> None:
    async with running(database, nats_server) as desk:
        await desk.do("POST", "/v1/service-levels", levels(rules=[{"targets": {"first_response": 4}}]), DIRECTOR)
        ticket = await desk.ticket(await desk.customer())
        opened = _at((await desk.events(ticket))[0][1])
        await desk.app.state.timers.stop()
        assert [name for name, _ in await desk.events(ticket)] == ["ticket_opened"]
    async with service(database, nats_server) as (app, client):
        desk = Desk(app.state.tickets.db, app.state.tickets.committer, app, client)
        await eventually(lambda: _breached(desk, ticket), timeout=20)
        breach = next(data for name, data in await desk.events(ticket) if name == "clock_breached")
        assert _at(breach) - opened == timedelta(seconds=4)


async def _breached(desk: Desk, ticket: str) -> bool:
    return any(name == "clock_breached" for name, _ in await desk.events(ticket))


async def test_looking_twice_says_it_once(desk: Desk) -> None:
    await desk.do("POST", "/v1/service-levels", levels(), DIRECTOR)
    ticket = await desk.ticket(await desk.customer(), at=_moment(hours=2).isoformat())
    timers = desk.app.state.timers
    await timers.stop()
    async with desk.db.conn() as conn:
        await conn.execute("UPDATE ticket_timer SET due_at = '2020-01-01'")
    for _ in range(3):
        await timers.pass_time()
        async with desk.db.conn() as conn:
            await conn.execute("UPDATE ticket_timer SET due_at = '2020-01-01'")
    names = [name for name, _ in await desk.events(ticket)]
    assert names.count("clock_breached") == 1
    assert names.count("clock_warned") == 1


async def test_an_answered_ticket_has_no_response_timer_and_a_closed_one_none(desk: Desk) -> None:
    await desk.do("POST", "/v1/service-levels", levels(), DIRECTOR)
    ticket = await desk.ticket(await desk.customer())

    async def due() -> datetime | None:
        async with desk.db.conn() as conn:
            return await conn.fetchval("SELECT due_at FROM ticket_timer WHERE ticket = $1", ticket)

    opened = _at((await desk.events(ticket))[0][1])
    assert await due() == opened + timedelta(minutes=48)
    await desk.do("POST", f"/v1/tickets/{ticket}/replies", {"text": "好"})
    assert await due() == opened + timedelta(hours=3, minutes=12)
    await desk.do("POST", f"/v1/tickets/{ticket}/resolution", {"outcome": "explained"})
    assert await due() is None


@pytest.mark.parametrize("hours", [1, 5])
async def test_a_restored_ticket_finds_its_timer_again(desk: Desk, hours: int) -> None:
    """A restore says only that a ticket is to be looked at; what is next follows from its events."""
    await desk.do("POST", "/v1/service-levels", levels(), DIRECTOR)
    ticket = await desk.ticket(await desk.customer(), at=_moment(hours=hours).isoformat())
    await eventually(lambda: _none_due(desk))
    async with desk.db.conn() as conn:
        expected = await conn.fetchval("SELECT due_at FROM ticket_timer WHERE ticket = $1", ticket)
        await conn.execute(
            "INSERT INTO ticket_timer VALUES ($1, '2020-01-01')"
            " ON CONFLICT (ticket) DO UPDATE SET due_at = excluded.due_at",
            ticket,
        )
    await eventually(lambda: _none_due(desk))
    async with desk.db.conn() as conn:
        assert await conn.fetchval("SELECT due_at FROM ticket_timer WHERE ticket = $1", ticket) == expected
