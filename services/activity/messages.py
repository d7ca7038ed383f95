"""Activity's end of NATS: what came over a subject, read and submitted to the one intake."""

from __future__ import annotations

from services.activity.known import grant_of
from services.activity.request import Request, read_request
from services.activity.rules import Grant
from services.activity.service import Service
from services.kernel.errors import Refusal
from services.kernel.messages import Sent
from services.kernel.outcomes import Answer, Result
from services.kernel.wire import Rejected


class MessageIntake:
    """Reads messages in their publisher's name (kernel.messages.Intake)."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def submit(self, sent: Sent) -> Answer:
        grant = grant_of(await self.service.publishers.admit(sent.publisher))
        zone = self.service.settings.zone
        request = read_request(sent.data, sent.headers, grant, zone, message=sent.message, traceparent=sent.traceparent)
        return await self.service.intake.submit(request)

    async def unreadable(self, sent: Sent, refusal: Refusal) -> Answer:
        """Keep a message of which nothing could be read: its publisher has no other answer than the receipt."""
        flaw = Rejected(refusal.code, refusal.detail, refusal.field, refusal.remedy)
        request = Request(Grant(sent.publisher, frozenset()), [flaw], sent.data, False, sent.message)
        try:
            return await self.service.intake.submit(request)
        except Refusal as failure:
            if failure.status >= 500:  # it cannot be kept now, the message stays
                raise
            return Answer([Result(0, None, None, "rejected", flaw.code, flaw.field, flaw.detail, flaw.remedy)], "")
