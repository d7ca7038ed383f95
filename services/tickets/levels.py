"""Service levels as they were loaded: which version a new ticket is under, and the working calendar of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from contracts.service_levels import ServiceLevels, ServiceLevelsPutInForce
from services.kernel.codec import Envelope
from services.kernel.database import Connection
from services.kernel.errors import Refusal
from services.tickets.domain import Levels, no_levels
from services.tickets.working_time import WorkingCalendar

AGGREGATE = "levels"


class LevelBook:
    """Versions with their calendars. A loaded version never changes, so each is read once."""

    def __init__(self) -> None:
        self._known: dict[int, Levels] = {0: no_levels()}

    async def of_version(self, conn: Connection, version: int) -> Levels:
        """Return a version; 0 = nothing promised. LookupError: there is no such version."""
        if version not in self._known:
            document = await conn.fetchval("SELECT document FROM public.service_levels WHERE version = $1", version)
            if document is None:
                raise LookupError(f"service levels {version}")
            levels = ServiceLevels.model_validate_json(document)
            self._known[version] = Levels(levels, WorkingCalendar(levels.calendar))
        return self._known[version]

    async def in_force(self, conn: Connection, at: datetime) -> Levels:
        """Return the version that a ticket opened at `at` is under: the latest that was effective by then."""
        version = await conn.fetchval(
            "SELECT version FROM public.service_levels WHERE effective <= $1 ORDER BY effective DESC, version DESC"
            " LIMIT 1",
            at,
        )
        return await self.of_version(conn, version or 0)


def decide_put_in_force(
    events: Sequence[Envelope], levels: ServiceLevels, by: str, at: datetime
) -> list[ServiceLevelsPutInForce]:
    """Load a version whole. The same again changes nothing; Refusal 409 `version_exists`, `version_not_next`."""
    known = {
        loaded.version: loaded
        for event in events
        if event.type == ServiceLevelsPutInForce.event_type
        for loaded in [event.read(ServiceLevelsPutInForce).levels]
    }
    if levels.version in known:
        if known[levels.version] == levels:
            return []
        raise Refusal(
            "version_exists",
            f"service levels {levels.version} were loaded with other content",
            status=409,
            field="version",
            remedy=f"Give the change a version of its own: {max(known) + 1}.",
        )
    if levels.version <= max(known, default=0):
        raise Refusal(
            "version_not_next",
            f"version {max(known)} was loaded before {levels.version}",
            status=409,
            field="version",
            remedy=f"Use version {max(known) + 1}.",
        )
    if levels.effective.tzinfo is None:
        raise Refusal(
            "instant_without_offset", "effective has no offset", status=422, field="effective",
            remedy="Write it with one: 2026-10-01T00:00:00+08:00.",
        )  # fmt: skip
    return [ServiceLevelsPutInForce(levels=levels, by=by, at=at)]
