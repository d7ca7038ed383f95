"""Routes about what tickets are sorted by: projects, the tree of topics, and searches saved as queues."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.kernel.auth import Access, allow
from services.kernel.ledger import Work
from services.kernel.web import IdempotencyKey, IfMatch, expected_version
from services.tickets.api_tickets import Name
from services.tickets.care_commanding import change_care, refuse_unit, topics_above
from services.tickets.care_commands import DefineProject, DefineTopic, DeleteQueue, SaveQueue
from services.tickets.care_decisions import decide
from services.tickets.care_domain import Project, Queue, Topic
from services.tickets.commanding import answer, asked, create, instant, tickets_of

router = APIRouter(prefix="/v1", tags=["care: projects, topics, queues"])
WRITE = allow("topics.write")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProjectBody(_Body):
    name_zh: str
    name_en: str
    unit: Name | None = None
    retired: bool = False


class TopicBody(_Body):
    name_zh: str
    name_en: str
    parent: Name | None = None
    order: int = Field(default=0, ge=-(2**31), lt=2**31)
    retired: bool = False


class QueueBody(_Body):
    name: str = Field(min_length=1, max_length=100)
    unit: Name | None = Field(default=None, description="For everybody of this unit; default: for oneself")
    query: dict[str, Any] = Field(description="Parameters of GET /v1/tickets", max_length=50)


@router.put("/projects/{project}", summary="Define a project, rename or retire it")
async def define_project(
    request: Request, response: Response, project: str, body: ProjectBody,
    access: Access = WRITE, key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))
    if body.unit is not None:
        await refuse_unit(tickets, by, body.unit)

    async def make(_: Project | None, work: Work) -> DefineProject:
        return DefineProject(Project(project, **body.model_dump()))

    return answer(response, await change_care(tickets, by, f"project:{project}", make))


@router.put("/topics/{topic}", summary="Define a topic, rename, move or retire it")
async def define_topic(
    request: Request, response: Response, topic: str, body: TopicBody,
    access: Access = WRITE, key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def make(_: Topic | None, work: Work) -> DefineTopic:
        above = await topics_above(work, topic, body.parent)
        return DefineTopic(Topic(topic, **body.model_dump()), above)

    return answer(response, await change_care(tickets_of(request), by, f"topic:{topic}", make))


@router.post("/queues", summary="Save a search under a name, for oneself or a unit")
async def save_queue(
    request: Request, response: Response, body: QueueBody,
    access: Access = allow("tickets.read"), key: IdempotencyKey = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key)
    if body.unit is not None:
        await refuse_unit(tickets, by, body.unit)

    async def decided(name: str, work: Work) -> list[Any]:
        command = SaveQueue(name, body.name, body.unit, body.query, by.by, instant(work))
        return [*decide(None, command, tickets.settings.zone)]

    return answer(response, await create(tickets, by, "queue", decided))


@router.put("/queues/{queue}", summary="Change one's saved search")
async def change_queue(
    request: Request, response: Response, queue: str, body: QueueBody,
    access: Access = allow("tickets.read"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    tickets, by = tickets_of(request), await asked(request, access, key, expected_version(if_match))
    if body.unit is not None:
        await refuse_unit(tickets, by, body.unit)

    async def make(state: Queue | None, work: Work) -> SaveQueue | DeleteQueue:
        if state is None:  # a queue begins under an id that is given here
            return DeleteQueue(by.by, instant(work))
        return SaveQueue(queue, body.name, body.unit, body.query, by.by, instant(work))

    return answer(response, await change_care(tickets, by, f"queue:{queue}", make))


@router.delete("/queues/{queue}", summary="Delete one's saved search")
async def delete_queue(
    request: Request, response: Response, queue: str,
    access: Access = allow("tickets.read"), key: IdempotencyKey = None, if_match: IfMatch = None,
) -> dict[str, Any]:  # fmt: skip
    by = await asked(request, access, key, expected_version(if_match))

    async def make(_: Queue | None, work: Work) -> DeleteQueue:
        return DeleteQueue(by.by, instant(work))

    return answer(response, await change_care(tickets_of(request), by, f"queue:{queue}", make))
