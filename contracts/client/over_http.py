"""Publishes over HTTP: `POST /v1/events` in gzipped batches, repeated with the same ids until answered.

The long-lived publisher token is exchanged at org's `POST /v1/token` for a bearer token of some minutes, and again
before that runs out.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType

import httpx

from contracts.activity import IntakeAnswer, IntakeResult
from contracts.client.batches import Batch, Event, PublishError, batches, pauses, problem
from contracts.envelope import BATCH_CONTENT_TYPE, read_as

EARLY = 30.0  # seconds before its end that a bearer token is renewed
Bearer = Callable[[bool], Awaitable[str]]  # (renew) -> token


class TokenExchange:
    """Turns a grant (what `POST /v1/token` takes) into bearer tokens; keeps one until shortly before it ends."""

    def __init__(self, client: httpx.AsyncClient, org_url: str, grant: dict[str, object]) -> None:
        self._client = client
        self._url = f"{org_url.rstrip('/')}/v1/token"
        self._grant = grant
        self._token = ""
        self._until = 0.0

    async def __call__(self, renew: bool = False) -> str:
        """Return a valid bearer token; `renew` asks for a new one although the old seems good."""
        if renew or time.monotonic() >= self._until:
            answer = await self._client.post(self._url, json=self._grant)
            if answer.status_code >= 400:
                raise problem(answer.content, answer.status_code)
            body = answer.json()
            self._token = str(body["access_token"])
            self._until = time.monotonic() + max(float(body.get("expires_in", 60)) - EARLY, 1.0)
        return self._token


class HttpPublisher:
    """`async with HttpPublisher(activity_url, bearer) as publisher: results = await publisher.send(events)`."""

    def __init__(
        self,
        activity_url: str,
        bearer: Bearer,
        *,
        client: httpx.AsyncClient | None = None,
        batch: int = 500,
        attempts: int = 8,
    ) -> None:
        self._url = f"{activity_url.rstrip('/')}/v1/events"
        self._bearer = bearer
        self._client = client or httpx.AsyncClient(timeout=30)
        self._owns_client = client is None
        self._batch = batch
        self._attempts = attempts

    async def __aenter__(self) -> HttpPublisher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns_client:
            await self._client.aclose()

    async def send(self, events: Iterable[Event]) -> list[IntakeResult]:
        """Return an outcome for each event, in order; `index` counts over all of them.

        Raises PublishError when a batch is refused as a whole or stays unanswered after all attempts. Sending the
        same events again is always safe: what is recorded already answers "duplicate".
        """
        results: list[IntakeResult] = []
        for batch in batches(events, self._batch):
            answer = await self._deliver(batch)
            results += [result.model_copy(update={"index": batch.first + result.index}) for result in answer.results]
        return results

    async def _deliver(self, batch: Batch) -> IntakeAnswer:
        body = gzip.compress(batch.body, compresslevel=1)
        renew = False
        failure = PublishError("unanswered", "no attempt was made")
        for pause in [*pauses(self._attempts), None]:
            try:
                answer = await self._post(body, await self._bearer(renew))
            except httpx.TransportError as error:
                failure = PublishError("unreachable", repr(error))
            except PublishError as error:  # of the token exchange
                failure = error
                if error.status is not None and 400 <= error.status < 500 and error.status != 429:
                    raise
            else:
                if answer.status_code == 200:
                    return _read(answer.content, batch)
                failure = problem(answer.content, answer.status_code)
                if not _worth_repeating(answer.status_code, renewed=renew):
                    raise failure
                renew = answer.status_code == 401
                pause = _asked_pause(answer, pause)
            if pause is not None:
                await asyncio.sleep(pause)
        raise failure

    async def _post(self, body: bytes, token: str) -> httpx.Response:
        headers = {
            "content-type": BATCH_CONTENT_TYPE,
            "content-encoding": "gzip",
            "authorization": f"Bearer {token}",
        }
        return await self._client.post(self._url, content=body, headers=headers)


def _worth_repeating(status: int, *, renewed: bool) -> bool:
    """Tell whether the same request may succeed later; a 401 once, with a new bearer token."""
    return status == 429 or status >= 500 or (status == 401 and not renewed)


def _asked_pause(answer: httpx.Response, pause: float | None) -> float | None:
    asked = answer.headers.get("retry-after", "")
    if pause is None or answer.status_code == 401:
        return None if pause is None else 0.0
    return max(pause, float(asked)) if asked.isdigit() else pause


def _read(body: bytes, batch: Batch) -> IntakeAnswer:
    answer = read_as(IntakeAnswer, body)
    if len(answer.results) != batch.size:
        raise PublishError("unreadable_answer", f"{len(answer.results)} results for {batch.size} events")
    return answer


async def publish(
    events: Iterable[Event], *, org_url: str, activity_url: str, publisher: str, token: str
) -> list[IntakeResult]:
    """Send events with a publisher's own token; return an outcome for each."""
    async with httpx.AsyncClient(timeout=30) as client:
        grant: dict[str, object] = {"grant": "publisher", "publisher": publisher, "token": token}
        sender = HttpPublisher(activity_url, TokenExchange(client, org_url, grant), client=client)
        return await sender.send(events)
