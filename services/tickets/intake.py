"""Intake of tickets: the one function that publishers' events come through, over HTTP and NATS alike.

Each event is a decision of its own: identity, permission, customer, ticket, seal, all in one transaction, so that one
that is rejected takes no other along and uses nothing up. What was sent is kept nowhere but in the seals.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta

from contracts.envelope import identity_key
from contracts.ticket_intake import MessageData, OpenedData
from contracts.tickets import Origin
from services.kernel.commands import execute
from services.kernel.committer import Committed
from services.kernel.errors import Refusal, Unavailable
from services.kernel.ledger import Work
from services.kernel.messages import Sent
from services.kernel.outcomes import Answer, Result
from services.kernel.positions import merge, parse, render
from services.kernel.publishers import Publishers, Sender
from services.kernel.wire import Rejected
from services.tickets import intake_rows as rows
from services.tickets.commanding import Tickets, instant
from services.tickets.domain import ReceiveMessage
from services.tickets.intake_customers import customer_for
from services.tickets.ticket_commands import decide_and_append, load, open_in
from services.tickets.wire import Candidate, read_document

FUTURE = timedelta(minutes=5)  # that a sender's clock may be ahead
Outcome = tuple[Result, dict[str, int]]  # with the position that includes it
Placed = tuple[str, int, str]  # ticket, version that the event stands at, customer


class TicketIntake:
    """What kernel.messages asks of a context (`Intake`), and what POST /v1/events calls."""

    def __init__(self, tickets: Tickets, publishers: Publishers) -> None:
        self.tickets = tickets
        self.publishers = publishers
        self._secret = rows.Secret()
        self._turn: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def submit(self, sent: Sent) -> Answer:
        """Decide what was sent; each event's outcome, in order, once all is durable. Refusal: nothing could be read.

        A publisher's requests are decided in the order in which they came: a message follows what opened its ticket.
        """
        async with self._turn[sent.publisher]:
            sender = await self.publishers.admit(sent.publisher)
            events = read_document(sent.data, sent.headers, self.tickets.settings.zone)
            await self.tickets.units.tree()  # read once, not within each decision
            work = [
                asyncio.create_task(self._outcome(index, event, sender, sent.traceparent))
                for index, event in enumerate(events)
            ]
            await asyncio.sleep(0)  # all of them stand in the committer's queue before the next request's
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        decided: list[Outcome] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            decided.append(outcome)
        return Answer([result for result, _ in decided], render(merge(*(at for _, at in decided))))

    async def unreadable(self, sent: Sent, refusal: Refusal) -> Answer:
        """Reject an inbox message whole; its bytes go with the message."""
        return Answer([_rejected(0, None, None, refusal)], "")

    async def _outcome(self, index: int, event: Candidate | Rejected, sender: Sender, trace: str | None) -> Outcome:
        if isinstance(event, Rejected):
            return Result(
                index, event.source, event.id, "rejected", event.code, event.field, event.detail, event.remedy
            ), {}

        async def decide(work: Work) -> Result:
            return await self._decide(work, index, event, sender)

        try:
            done = await _counted_once(
                lambda: execute(
                    self.tickets.committer, decide, principal=f"publisher:{sender.name}", route="intake",
                    retry_on_conflict=True, traceparent=trace,
                )
            )  # fmt: skip
        except Refusal as refusal:
            if refusal.status >= 500:
                raise
            return _rejected(index, event.source, event.id, refusal), {}
        if done.value.commit is None:
            done.value.commit = render(done.positions) or None
        return done.value, parse(done.value.commit)

    async def _decide(self, work: Work, index: int, event: Candidate, sender: Sender) -> Result:
        result = Result(index, event.source, event.id, "recorded")
        content = await self._secret.digest(work.conn, b"content", event.content)
        known = await rows.find(work.conn, event.key)
        if known is None:
            _check_sender(event, sender)
            if event.at - work.now > FUTURE:
                raise Refusal(
                    "time_in_future", "the event is more than 5 minutes in the future", status=422, field="time",
                    remedy="Check the sender's clock and offset; send it when it has happened.",
                )  # fmt: skip
            if await rows.claim(work.conn, event.key, content):
                ticket, version, customer = await self._record(work, event, sender)
                await rows.settle(work.conn, event.key, ticket, version, customer)
                result.subject = ticket
                return result
            known = await rows.find(work.conn, event.key)
        if known is None:
            raise Unavailable("too_contended", "another request with the same id is being recorded")
        if known.content not in (None, content):
            raise Refusal(
                "id_conflict", "another event has come under this source and id", status=409, field="id",
                remedy="Give every event an id of its own; a correction is a message with a new id.",
            )  # fmt: skip
        result.outcome, result.subject = "duplicate", known.ticket
        work.repeats, result.commit = await rows.commit_of(work.conn, known.ticket, known.version)
        return result

    async def _record(self, work: Work, event: Candidate, sender: Sender) -> Placed:
        if isinstance(event.data, OpenedData):
            return await self._open(work, event, event.data, sender)
        return await self._receive(work, event, event.data, sender)

    async def _open(self, work: Work, event: Candidate, data: OpenedData, sender: Sender) -> Placed:
        unit = data.unit or self.tickets.settings.tickets_unit
        await self.tickets.units.refuse_unknown(unit)
        customer = await customer_for(self.tickets, self._secret, work, data, sender.name)
        fields = {
            "customer": customer,
            "unit": unit,
            "origin": Origin(source=event.source, id=event.id),
            **{name: getattr(data, name) for name in ("kind", "project", "channel", "topic", "priority")},
        }
        ticket, _ = await open_in(self.tickets, work, f"publisher:{sender.name}", fields, data.content(), event.at)
        return ticket, 1, customer

    async def _receive(self, work: Work, event: Candidate, data: MessageData, sender: Sender) -> Placed:
        """Add a message to its ticket, or to the one that this went into."""
        name = data.ticket or await _opened_by(work, event, data)
        state, levels, version = await load(self.tickets, work, name)
        if state.source not in sender.sources:  # a number is easily guessed; nothing is said of others' tickets
            raise Refusal(
                "ticket_unknown", f"{sender.name} opened no such ticket", status=404, field="ticket",
                remedy="Name a ticket that one of your own events opened.",
            )  # fmt: skip
        while state.merged_into is not None:
            state, levels, version = await load(self.tickets, work, state.merged_into)
        command = ReceiveMessage(
            content=await self.tickets.vault.seal(work.conn, state.customer, data.content()),
            origin=Origin(source=event.source, id=event.id),
            by=f"publisher:{sender.name}",
            at=min(event.at, instant(work)),
        )
        after, _ = await decide_and_append(work, state, version, command, levels)
        return state.ticket, after, state.customer


async def _opened_by(work: Work, event: Candidate, data: MessageData) -> str:
    if data.opened is not None:
        found = await rows.find(work.conn, identity_key(data.opened.source or event.source, data.opened.id))
        if found is not None:
            return found.ticket
    raise Refusal(
        "ticket_unknown", "no ticket was opened by that event", status=404, field="opened",
        remedy="Send what opens the ticket first; then this again.",
    )  # fmt: skip


def _check_sender(event: Candidate, sender: Sender) -> None:
    """Refuse what the publisher may not send, or not in that name."""
    if event.source not in sender.sources:
        raise Refusal(
            "source_not_allowed", f"{sender.name} may not send as {event.source!r}", status=403, field="source",
            remedy=f"Send as one of: {', '.join(sorted(sender.sources))}.",
        )  # fmt: skip
    if sender.types is not None and event.name not in sender.types:
        raise Refusal(
            "type_not_allowed", f"{sender.name} may not send {event.name}", status=403, field="type",
            remedy="Ask an operator to add the type to what this publisher may send.",
        )  # fmt: skip


ATTRIBUTES = frozenset(("id", "source", "type", "time"))


def _rejected(index: int, source: str | None, event_id: str | None, refusal: Refusal) -> Result:
    """A refusal as an outcome: fields that are no attributes of the envelope are parts of its data."""
    field = refusal.field if refusal.field in ATTRIBUTES or refusal.field is None else f"data.{refusal.field}"
    return Result(index, source, event_id, "rejected", refusal.code, field, refusal.detail, refusal.remedy)


async def _counted_once(submit: Callable[[], Awaitable[Committed[Result]]]) -> Committed[Result]:
    """Submit; an unknown outcome (a deadlock, a database that restarts) is tried once more: it counts once."""
    try:
        return await submit()
    except Unavailable as error:
        if error.code != "outcome_unknown":
            raise
        await asyncio.sleep(0.05)
        return await submit()
