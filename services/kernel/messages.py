"""Events over NATS: requests answered after the commit, and the durable inbox with receipts, for one context.

The documents are those of HTTP: structured or binary mode, one event or a batch a message. An inbox message is
acknowledged only after its commit and its receipt. Raw messages, validated one by one: one that cannot be read must
not take its neighbours along.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from faststream.message import StreamMessage
from faststream.nats import NatsBroker, NatsResponse
from faststream.nats.annotations import NatsMessage
from faststream.nats.security import NatsUserPassword
from nats.aio.msg import Msg
from nats.js.errors import APIError, NotFoundError

from contracts.subjects import inbox_stream, intake_subject
from services.kernel.errors import Refusal
from services.kernel.inbox import InboxReader
from services.kernel.outcomes import Answer, ReceiptBody, answer_bytes
from services.kernel.receipts import BROKEN, Receipts, ensure_streams
from services.kernel.settings import Settings
from services.kernel.tasks import end
from services.kernel.telemetry import continue_trace

log = logging.getLogger("opsledger.kernel")
quiet = logging.getLogger("opsledger.kernel.faststream")  # its own words on every message are of no use here
quiet.setLevel(logging.WARNING)

BATCH = 256  # inbox messages taken at once
PARALLEL = 64  # requests in work at once
LOOK = 2.0  # seconds between looks at the inbox's consumer


@dataclass(frozen=True, slots=True)
class Sent:
    """What a publisher sent, unread. Header names in lower case; `message` = the inbox message that wants a receipt."""

    publisher: str
    data: bytes
    headers: Mapping[str, str]
    message: str | None = None
    traceparent: str | None = None


class Intake(Protocol):
    """The function that all events of a context come through, whichever way they came."""

    async def submit(self, sent: Sent) -> Answer:
        """Answer after the commit. Refusal: nothing of it stands (status >= 500: not possible now)."""

    async def unreadable(self, sent: Sent, refusal: Refusal) -> Answer:
        """Answer an inbox message that was refused whole: its publisher hears of it by receipt only."""


async def _raw(message: StreamMessage[Any]) -> Any:
    """No decoding by the library: intake reads the bytes itself."""
    return b""


class InboxGone(Exception):
    """The inbox or its consumer does not exist any more."""


class Messages:
    """Keeps requests and inbox running; makes both anew when the inbox or its consumer has gone.

    `personal`: what is sent is about customers. It is overwritten on the broker's disk as soon as it is decided, and
    gone after a week in any case.
    """

    def __init__(self, intake: Intake, settings: Settings, receipts: Receipts, *, personal: bool = False) -> None:
        self.intake = intake
        self.receipts = receipts
        self.context = receipts.context
        self._settings = settings
        self._personal = personal
        self._task: asyncio.Task[None] | None = None
        self.ready = False

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="messages")

    async def check(self) -> dict[str, Any]:
        """Readiness: requests are answered and the inbox is read."""
        return {"ready": self.ready}

    async def stop(self) -> None:
        await end(self._task)

    async def _run(self) -> None:
        while True:
            broker, inbox = self.broker(), InboxReader(self.receipts.nc, self.context)
            try:
                await ensure_streams(self.receipts.nc, self.context, personal=self._personal)
                await broker.start()
                await inbox.open()
                self.ready = True
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._watch())
                    group.create_task(self._take_all(inbox))
            except Exception as error:  # the broker's, whatever it is: everything is made anew
                log.warning("messages_interrupted", extra={"error": repr(error)})
                await asyncio.sleep(0.3)
            finally:
                self.ready = False
                await asyncio.shield(_closed(broker, inbox))

    async def _take_all(self, inbox: InboxReader) -> None:
        while True:
            messages = await inbox.take(BATCH)
            if messages:
                await self.take(messages)

    async def _watch(self) -> None:
        """Raise InboxGone when the inbox's consumer has gone, as after the loss of the broker's volume."""
        js = self.receipts.nc.jetstream(timeout=5)
        while True:
            await asyncio.sleep(LOOK)
            try:
                await js.consumer_info(inbox_stream(self.context), self.context)
            except NotFoundError as error:
                raise InboxGone from error
            except BROKEN as error:
                log.info("broker_not_answering", extra={"error": repr(error)})

    def broker(self) -> NatsBroker:
        """Return a FastStream broker that answers requests."""
        settings = self._settings
        broker = NatsBroker(
            settings.nats_url,
            security=NatsUserPassword(settings.nats_user, settings.nats_password.get_secret_value()),
            name=f"{self.context}-intake",
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            graceful_timeout=5,
            logger=quiet,
        )
        broker.subscriber(
            intake_subject("*", self.context), queue=self.context, max_workers=PARALLEL, decoder=_raw,
            description="A request, answered after the commit.",
        )(self.answer)  # fmt: skip
        return broker

    async def answer(self, message: NatsMessage) -> NatsResponse:
        """Decide one request; whatever goes wrong is a problem document."""
        raw: Msg = message.raw_message
        try:
            body = answer_bytes(await self.intake.submit(_sent(raw, None)))
        except Refusal as refusal:
            body = _problem(refusal)
        except Exception:
            log.exception("intake_request_failed")
            body = _problem(Refusal("internal_error", "this should not have happened", status=500))
        return NatsResponse(body, headers={"content-type": "application/json"})

    async def take(self, messages: list[Msg]) -> None:
        """Decide a batch of inbox messages; each is acknowledged after its commit and its receipt."""
        outcomes = await asyncio.gather(*(self._one(raw) for raw in messages))
        done = [(raw, outcome) for raw, outcome in zip(messages, outcomes, strict=True) if outcome is not None]
        await self.receipts.publish([outcome for _, outcome in done])
        if self._personal:
            await asyncio.gather(*(self._overwrite(raw) for raw, _ in done))
        for raw, _ in done:
            await raw.ack()
        for raw, outcome in zip(messages, outcomes, strict=True):
            if outcome is None:
                await raw.nak(delay=1)

    async def _overwrite(self, raw: Msg) -> None:
        """Delete a decided message so that its bytes are overwritten: one that is acknowledged stays in its block."""
        js = self.receipts.nc.jetstream(timeout=5)
        try:
            await js.delete_msg(inbox_stream(self.context), raw.metadata.sequence.stream)
        except APIError as error:  # it was deleted before: it came a second time
            log.info("inbox_message_gone", extra={"error": repr(error)})

    async def _one(self, raw: Msg) -> tuple[str, ReceiptBody] | None:
        """Return (publisher, receipt); None: not possible now, the message stays."""
        headers = raw.headers or {}
        message = headers.get("Nats-Msg-Id") or str(raw.metadata.sequence.stream)
        sent = _sent(raw, message)
        try:
            answer = await self._answer(sent)
        except Refusal as refusal:
            log.warning("inbox_waits", extra={"code": refusal.code})
            return None
        except Exception:
            log.exception("inbox_message_failed")
            return None
        return sent.publisher, ReceiptBody(message, answer.results)

    async def _answer(self, sent: Sent) -> Answer:
        """Submit an inbox message; only what is not possible now is still refused."""
        try:
            return await self.intake.submit(sent)
        except Refusal as refusal:
            if refusal.status >= 500:
                raise
            return await self.intake.unreadable(sent, refusal)


def _sent(raw: Msg, message: str | None) -> Sent:
    headers = {name.lower(): value for name, value in (raw.headers or {}).items()}
    return Sent(raw.subject.split(".")[1], raw.data, headers, message, continue_trace(headers.get("traceparent")))


def _problem(refusal: Refusal) -> bytes:
    body = {
        "type": f"urn:opsledger:problem:{refusal.code}",
        "title": refusal.code.replace("_", " "),
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
        "field": refusal.field,
        "remedy": refusal.remedy,
    }
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


async def _closed(broker: NatsBroker, inbox: InboxReader) -> None:
    try:
        await inbox.close()
        await broker.stop()
    except Exception as error:  # it is being thrown away
        log.debug("broker_close_failed", extra={"error": repr(error)})
