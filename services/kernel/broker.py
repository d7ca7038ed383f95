"""The connection to NATS and the ledger streams on it. Must not decide anything: it opens, names and looks.

A ledger's stream is created by its owner's relay; the highest epoch is the one in force.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, PubAck, RetentionPolicy, StorageType, StreamConfig, StreamState
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError
from nats.js.errors import Error as JetStreamError

from contracts.subjects import stream_name, stream_subject
from services.kernel.codec import Commit, from_message
from services.kernel.database import TRANSIENT

# What says only that the broker or the database is not to be had at the moment.
BROKEN: tuple[type[Exception], ...] = (nats.errors.Error, JetStreamError, OSError, TimeoutError, *TRANSIENT)

log = logging.getLogger("opsledger.kernel")


async def connect(url: str, user: str, password: str, *, name: str, max_wait: int = 60) -> Client:
    """Connect and stay connected: the client reconnects for ever, every half second."""

    async def on_error(error: Exception) -> None:
        log.warning("nats_error", extra={"error": repr(error)})

    return await nats.connect(
        url,
        user=user,
        password=password,
        name=name,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.5,
        connect_timeout=5,
        allow_reconnect=True,
        ping_interval=10,
        max_outstanding_pings=3,
        pending_size=64 * 1024 * 1024,
        drain_timeout=5,
        error_cb=on_error,
    )


class Publishing(JetStreamContext):
    """Publishing many messages ahead, each with a future of its acknowledgement or of the broker's refusal.

    nats-py loses a refusal on its way to the future (`APIError.from_error` raises what its caller wants returned), so
    that one would be heard of by the time limit only.
    """

    async def publish_async(
        self,
        subject: str,
        payload: bytes = b"",
        wait_stall: float | None = None,
        stream: str | None = None,
        headers: dict[str, Any] | None = None,
        msg_ttl: float | None = None,
    ) -> asyncio.Future[PubAck]:
        """The same, but what could not be sent gives its place among those in flight back."""
        waiting = len(self._publish_async_futures)
        try:
            return await super().publish_async(subject, payload, wait_stall, stream, headers, msg_ttl)
        except Exception:
            if len(self._publish_async_futures) > waiting:
                self._publish_async_futures[next(reversed(self._publish_async_futures))].cancel()
            raise

    async def _handle_async_reply(self, msg: Msg) -> None:
        try:
            await super()._handle_async_reply(msg)
        except APIError as refusal:
            future = self._publish_async_futures.get(msg.subject.rpartition(".")[2])
            if future is not None and not future.done():
                future.set_exception(refusal)


async def ensure_stream(nc: Client, ledger: str, epoch: int, replicas: int = 1, first: int = 1) -> int:
    """Create the ledger's stream, beginning at number `first`, if it is missing; return its last sequence."""
    js = nc.jetstream()
    name = stream_name(ledger, epoch)
    try:
        info = await js.stream_info(name)
    except NotFoundError:
        info = await js.add_stream(
            StreamConfig(
                name=name,
                subjects=[stream_subject(ledger, epoch)],
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                discard=DiscardPolicy.NEW,
                deny_delete=True,
                deny_purge=True,
                num_replicas=replicas,
                first_seq=first if first > 1 else None,
            )
        )
        log.info("stream_created", extra={"stream": name})
    return int(info.state.last_seq)


async def stream_state(nc: Client, ledger: str, epoch: int) -> StreamState | None:
    """Return the stream's first and last sequence and the like, None where there is no stream.

    A stream that holds nothing ends one before its first sequence.
    """
    try:
        return (await nc.jetstream().stream_info(stream_name(ledger, epoch))).state
    except NotFoundError:
        return None


async def last_sequence(nc: Client, ledger: str, epoch: int) -> int | None:
    """Return the stream's last sequence, None where there is no stream."""
    state = await stream_state(nc, ledger, epoch)
    return None if state is None else int(state.last_seq)


async def current_epoch(nc: Client, ledger: str) -> int | None:
    """Return the highest epoch for which the ledger has a stream, None where it has none."""
    return max(await epochs(nc, ledger), default=None)


async def epochs(nc: Client, ledger: str) -> list[int]:
    """Return the epochs for which the ledger has a stream."""
    request = json.dumps({"subject": stream_subject(ledger, 1).rsplit(".", 1)[0] + ".*"}).encode()
    answer = json.loads((await nc.request("$JS.API.STREAM.NAMES", request, timeout=5)).data)
    if "error" in answer:
        APIError.from_error(answer["error"])  # raises it
    base = re.escape(stream_name(ledger))
    found = [re.fullmatch(base + r"(?:_E(\d+))?", name) for name in answer.get("streams") or []]
    return sorted(int(match.group(1) or 1) for match in found if match)


async def read_message(nc: Client, ledger: str, epoch: int, sequence: int) -> tuple[Commit | None, bool]:
    """Return the commit at a stream sequence and whether its body is elsewhere.

    (None, False): nothing stands there, or something that is no commit.
    """
    try:
        message = await nc.jetstream().get_msg(stream_name(ledger, epoch), seq=sequence)
    except NotFoundError:
        return None, False
    headers: dict[str, Any] = dict(message.headers or {})
    try:
        return from_message(headers, message.data or b"")
    except (KeyError, ValueError):
        return None, False
