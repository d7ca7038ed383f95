"""Routes that act on a ticket, one command each. Every free text is sealed before it is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from contracts.customers import Attachment, Content
from contracts.service_levels import Priority, TicketKind, WaitingOn
from contracts.tickets import Outcome
from services.kernel.auth import Access, allow
from services.kernel.errors import Refusal
from services.kernel.ledger import Work
from services.kernel.web import IdempotencyKey, IfMatch, expected_version
from services.tickets.commanding import Asked, answer, asked, tickets_of
from services.tickets.domain import (
    AddNote,
    Assign,
    ChangePriority,
    Classify,
    Close,
    Command,
    GiveSatisfaction,
    HandOver,
    ReceiveMessage,
    Reopen,
    Reply,
    Resolve,
    Resume,
    StartWork,
    Ticket,
    Unassign,
    Wait,
)
from services.tickets.ticket_commands import change_ticket, merge_ticket, open_ticket, seal

router = APIRouter(prefix="/v1/tickets", tags=["tickets: commands"])
WORK = allow("tickets.work")
ASSIGN = allow("tickets.assign")

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Text = Annotated[str, Field(min_length=1, max_length=100_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Written(_Body):
    """What somebody wrote: at least one of the three."""

    title: str | None = Field(default=None, max_length=300)
    text: str | None = Field(default=None, max_length=100_000)
    attachments: list[Attachment] = Field(default=[], max_length=50)

    def content(self) -> Content:
        """Return what goes into the seal. Refusal 422 `content_missing`."""
        if not (self.title or self.text or self.attachments):
            raise Refusal(
                "content_missing", "nothing is said", status=422, field="text", remedy="Give a title or a text."
            )
        return Content(title=self.title, text=self.text, attachments=self.attachments)


class OpeningBody(Written):
    kind: TicketKind
    customer: Name
    unit: Name = Field(description="The unit that answers for it")
    project: Name | None = None
    channel: Name = Field(description='"phone", "mail", "web", "qq", "wechat", "visit", ..')
    topic: Name | None = None
    priority: Priority = "normal"
    at: AwareDatetime | None = Field(default=None, description="When the customer turned to us; default: now")


class PersonBody(_Body):
    person: Name


class WaitingBody(_Body):
    on: WaitingOn
    until: AwareDatetime | None = None
    text: Text | None = None


class ResolutionBody(_Body):
    outcome: Outcome
    text: Text | None = None


class SatisfactionBody(_Body):
    score: int = Field(ge=1, le=5)
    resolution: int | None = Field(default=None, ge=1, description="Default: the latest")
    text: Text | None = None


class ReasonBody(_Body):
    text: Text | None = None


class MergeBody(_Body):
    into: Name


class HandOverBody(_Body):
    unit: Name
    reason: Text


class ClassificationBody(_Body):
    kind: TicketKind
    topic: Name | None = None
    project: Name | None = None
    channel: Name


class PriorityBody(_Body):
    priority: Priority
    reason: Text | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What every command's request has beside its body."""

    request: Request
    response: Response
    key: str | None
    if_match: str | None

    async def asked(self, access: Access) -> Asked:
        """Return it as a command's circumstances."""
        return await asked(self.request, access, self.key, expected_version(self.if_match))


async def _call(request: Request, response: Response, key: IdempotencyKey = None, if_match: IfMatch = None) -> Call:
    return Call(request, response, key, if_match)


In = Annotated[Call, Depends(_call)]


async def _carry_out(
    call: Call, access: Access, ticket: str, build: Callable[..., Command], content: Content | None = None
) -> dict[str, Any]:
    """Seal the content, if any, with the customer's key; `build` gets it as `content` beside `by` and `at`."""
    tickets, by = tickets_of(call.request), await call.asked(access)

    async def make(work: Work, state: Ticket) -> Command:
        said = {} if content is None else {"content": await seal(tickets, work, state, content)}
        return build(by=by.by, at=work.now, **said)

    return answer(call.response, await change_ticket(tickets, by, ticket, make))


def _text(text: str | None) -> Content | None:
    return Content(text=text) if text else None


@router.post("", summary="Open a ticket")
async def open_one(body: OpeningBody, call: In, access: Access = allow("tickets.open")) -> dict[str, Any]:
    tickets, by = tickets_of(call.request), await call.asked(access)
    fields = body.model_dump(include={"kind", "customer", "unit", "project", "channel", "topic", "priority"})
    return answer(call.response, await open_ticket(tickets, by, fields, body.content(), body.at))


@router.post("/{ticket}/messages", summary="The customer wrote or called again: noted by hand")
async def message(ticket: str, body: Written, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, ReceiveMessage, body.content())


@router.post("/{ticket}/replies", summary="Answer the customer; ends the response clock")
async def reply(ticket: str, body: Written, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, Reply, body.content())


@router.post("/{ticket}/notes", summary="An internal note")
async def note(ticket: str, body: Written, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, AddNote, body.content())


@router.put("/{ticket}/assignee", summary="Assign it to a person")
async def assign(ticket: str, body: PersonBody, call: In, access: Access = ASSIGN) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, partial(Assign, person=body.person))


@router.delete("/{ticket}/assignee", summary="Give it back to the unit")
async def unassign(ticket: str, call: In, access: Access = ASSIGN) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, Unassign)


@router.post("/{ticket}/start", summary="Begin to work on it")
async def start(ticket: str, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, StartWork)


@router.post("/{ticket}/wait", summary="Wait for the customer, a third party or somebody inside")
async def wait(ticket: str, body: WaitingBody, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, partial(Wait, on=body.on, until=body.until), _text(body.text))


@router.post("/{ticket}/resume", summary="Go on with it")
async def resume(ticket: str, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, Resume)


@router.post("/{ticket}/resolution", summary="Resolve it")
async def resolve(ticket: str, body: ResolutionBody, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, partial(Resolve, outcome=body.outcome), _text(body.text))


@router.post("/{ticket}/satisfaction", summary="The customer's verdict on a resolution, once for each")
async def satisfaction(ticket: str, body: SatisfactionBody, call: In, access: Access = WORK) -> dict[str, Any]:
    build = partial(GiveSatisfaction, score=body.score, resolution=body.resolution)
    return await _carry_out(call, access, ticket, build, _text(body.text))


@router.post("/{ticket}/reopening", summary="Open a resolved or closed ticket again")
async def reopen(ticket: str, body: ReasonBody, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, Reopen, _text(body.text))


@router.post("/{ticket}/closing", summary="Close a resolved ticket")
async def close(ticket: str, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, Close)


@router.post("/{ticket}/merge", summary="Let it go on in another ticket of the same customer")
async def merge(ticket: str, body: MergeBody, call: In, access: Access = WORK) -> dict[str, Any]:
    done = await merge_ticket(tickets_of(call.request), await call.asked(access), ticket, body.into)
    return answer(call.response, done)


@router.post("/{ticket}/hand-over", summary="Pass it on to another unit, with the reason (H-51)")
async def hand_over(
    ticket: str, body: HandOverBody, call: In, access: Access = allow("tickets.hand_over")
) -> dict[str, Any]:
    await tickets_of(call.request).units.refuse_unknown(body.unit)
    return await _carry_out(call, access, ticket, partial(HandOver, to_unit=body.unit), _text(body.reason))


@router.put("/{ticket}/classification", summary="Kind, topic, project and channel as they are to stand")
async def classify(ticket: str, body: ClassificationBody, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, partial(Classify, **body.model_dump()))


@router.put("/{ticket}/priority", summary="Change the priority; targets follow, with the time used")
async def change_priority(ticket: str, body: PriorityBody, call: In, access: Access = WORK) -> dict[str, Any]:
    return await _carry_out(call, access, ticket, partial(ChangePriority, priority=body.priority), _text(body.reason))
