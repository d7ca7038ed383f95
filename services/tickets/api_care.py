"""All routes of the care around tickets: visits, needs, cases, reports, projects, topics, queues; and their reads."""

from __future__ import annotations

from fastapi import APIRouter

from services.tickets import api_care_followed, api_care_reads, api_care_structure, api_care_visits

router = APIRouter()
for _part in (api_care_visits, api_care_followed, api_care_structure, api_care_reads):
    router.include_router(_part.router)
