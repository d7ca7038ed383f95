"""The HTTP publisher: batches, gzip, the same bytes again until answered, bearer tokens renewed."""

import gzip
import json
from collections.abc import Callable

import httpx
import pytest

from contracts.client import over_http
from contracts.client.batches import PublishError, batches
from contracts.client.over_http import HttpPublisher, TokenExchange

Answer = Callable[[httpx.Request], httpx.Response]


def event(number: int, **more: object) -> dict[str, object]:
    return {"specversion": "1.0", "id": str(number), "source": "bot", "type": "opsledger.activity.seo.task", **more}


class Intake:
    """Answers like activity and org; `script` holds answers to give first (a response or an error to raise)."""

    def __init__(self, *script: httpx.Response | Exception) -> None:
        self.script = list(script)
        self.bodies: list[bytes] = []
        self.tokens: list[str] = []
        self.issued = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            self.issued += 1
            return httpx.Response(200, json={"access_token": f"t{self.issued}", "expires_in": 600})
        assert request.headers["content-encoding"] == "gzip"
        assert request.headers["content-type"] == "application/cloudevents-batch+json"
        self.bodies.append(gzip.decompress(request.content))
        self.tokens.append(request.headers["authorization"])
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        events = json.loads(self.bodies[-1])
        results = [{"index": i, "id": e["id"], "outcome": "recorded"} for i, e in enumerate(events)]
        return httpx.Response(200, json={"results": results, "position": "activity.0:1"})

    async def send(self, events: list[dict[str, object]], batch: int = 500, attempts: int = 4) -> list:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as client:
            bearer = TokenExchange(client, "http://org", {"grant": "publisher", "publisher": "bot", "token": "s"})
            publisher = HttpPublisher("http://activity", bearer, client=client, batch=batch, attempts=attempts)
            return await publisher.send(events)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "pauses", lambda attempts: iter([0.0] * (attempts - 1)))


async def test_outcomes_come_back_in_order_over_all_batches() -> None:
    intake = Intake()
    results = await intake.send([event(n) for n in range(7)], batch=3)
    assert [(result.index, result.id) for result in results] == [(n, str(n)) for n in range(7)]
    assert [len(json.loads(body)) for body in intake.bodies] == [3, 3, 1]
    assert intake.issued == 1


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("gone"), httpx.ReadTimeout("slow"), httpx.Response(503, json={"code": "busy"})]
)
async def test_an_unanswered_batch_is_sent_again_byte_for_byte(trouble: httpx.Response | Exception) -> None:
    intake = Intake(trouble, trouble)
    results = await intake.send([event(1)])
    assert [result.outcome for result in results] == ["recorded"]
    assert len(intake.bodies) == 3
    assert len(set(intake.bodies)) == 1


async def test_a_spent_token_is_renewed_once() -> None:
    intake = Intake(httpx.Response(401, json={"code": "token_expired"}))
    await intake.send([event(1)])
    assert intake.tokens == ["Bearer t1", "Bearer t2"]
    refused = httpx.Response(401, json={"code": "token_invalid", "detail": "no"})
    with pytest.raises(PublishError, match="token_invalid"):
        await Intake(refused, refused).send([event(1)])


async def test_a_refusal_is_not_repeated() -> None:
    intake = Intake(httpx.Response(403, json={"code": "not_a_publisher", "detail": "who are you?"}))
    with pytest.raises(PublishError, match="not_a_publisher: who are you"):
        await intake.send([event(1)])
    assert len(intake.bodies) == 1


async def test_it_gives_up_after_the_attempts_and_says_why() -> None:
    intake = Intake(*[httpx.Response(503, json={"code": "database_gone"})] * 4)
    with pytest.raises(PublishError, match="database_gone"):
        await intake.send([event(1)])


async def test_an_answer_that_misses_events_is_no_answer() -> None:
    short = httpx.Response(200, json={"results": [], "position": "activity.0:1"})
    with pytest.raises(PublishError, match="0 results for 1 events"):
        await Intake(short).send([event(1)])


def test_a_batch_ends_before_it_is_too_large() -> None:
    events = [event(n, data={"note": "文" * 400}) for n in range(10)]
    split = list(batches(events, most=500, most_bytes=4000))
    assert all(len(batch.body) <= 4000 for batch in split)
    assert [batch.first for batch in split] == [sum(b.size for b in split[:n]) for n in range(len(split))]
    assert [row["id"] for batch in split for row in json.loads(batch.body)] == [str(n) for n in range(10)]


def test_an_oversized_event_goes_alone() -> None:
    split = list(batches([event(1), event(2, data={"note": "x" * 5000}), event(3)], most_bytes=1000))
    assert [batch.size for batch in split] == [1, 1, 1]


def test_no_batch_is_above_the_thousand_of_intake() -> None:
    assert [batch.size for batch in batches([event(n) for n in range(1500)], most=5000)] == [1000, 500]
