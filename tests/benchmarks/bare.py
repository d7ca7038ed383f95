"""The yardstick: this very design as a bare script. No permissions, catalogue, holds, tracing, healing or product.

Two processes. `ingest`: HTTP batches -> validate -> one transaction with deduplication (select the 16-byte keys, then
COPY) and one LZ4 commit row a batch -> relay to JetStream with the expected last sequence. `projector`: stream -> day
facts and checkpoint in one transaction, and the one figure that the freshness probe reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Any, Literal

import asyncpg
import lz4.frame
import msgspec
import nats
import uvicorn
import uvloop
from msgspec import Meta
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tests.benchmarks.load import people

STREAM, SUBJECT = "BARE", "bare.ledger"
SCHEMA = """
CREATE TABLE identity (key bytea PRIMARY KEY, number bigint NOT NULL);
CREATE TABLE commit (number bigint PRIMARY KEY, previous bytea NOT NULL, hash bytea NOT NULL, body bytea NOT NULL);
ALTER TABLE commit ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE series (id integer PRIMARY KEY, person text NOT NULL, content text NOT NULL UNIQUE);
CREATE INDEX series_person ON series (person);
CREATE TABLE day_fact (series integer, day date, quantity bigint NOT NULL, events bigint NOT NULL,
    PRIMARY KEY (series, day)) WITH (fillfactor = 70);
CREATE TABLE checkpoint (number bigint NOT NULL);
INSERT INTO checkpoint VALUES (0);
"""
ADD = """
INSERT INTO day_fact AS f SELECT * FROM unnest($1::int[], $2::date[], $3::bigint[], $4::bigint[])
ON CONFLICT (series, day) DO UPDATE SET quantity = f.quantity + excluded.quantity, events = f.events + excluded.events
"""
ZONE = timezone(timedelta(hours=8))
Word = Annotated[str, Meta(min_length=1, max_length=200)]
App = Callable[[Any, Any, Any], Awaitable[None]]


class Data(msgspec.Struct, gc=False, omit_defaults=True):
    account: str | None = None
    platform: str | None = None
    quantity: Annotated[int, Meta(ge=1)] = 1
    on_topic: bool = True
    form: Literal["original", "share", "direct_message"] | None = None
    counterpart: str | None = None
    campaign: str | None = None
    url: str | None = None
    title: str | None = None


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    specversion: Literal["1.0"]
    id: Word
    source: Word
    type: Word
    subject: Word
    time: Annotated[datetime, Meta(tz=True)]
    data: Data
    day: date | None = None


decode = msgspec.json.Decoder(list[Event]).decode
encode = msgspec.json.Encoder().encode


class Ingest:
    """The deciding process."""

    def __init__(self, db: asyncpg.Connection, nc: Any) -> None:
        self.db = db
        self.js = nc.jetstream(publish_async_max_pending=512)
        self.known = frozenset(people())
        self.queue: asyncio.Queue[tuple[list[bytes], list[Event], asyncio.Future[int]]] = asyncio.Queue()
        self.number = 0
        self.hash = b"\0" * 32
        self.relayed: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message.get("more_body"):
                break
        events = decode(body)
        keys = []
        for event in events:
            if event.subject not in self.known:
                raise ValueError("unknown person")
            event.day = event.time.astimezone(ZONE).date()
            source = event.source.encode()
            keys.append(hashlib.sha256(len(source).to_bytes(4, "big") + source + event.id.encode()).digest()[:16])
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((keys, events, done))
        number = await done
        answer = b'{"results":[%s],"position":"bare:%d"}' % (b",".join([b'"recorded"'] * len(events)), number)
        await respond(send, answer)

    async def write(self) -> None:
        """One transaction for all that waits; one commit row a batch."""
        while True:
            group = [await self.queue.get()]
            while not self.queue.empty():
                group.append(self.queue.get_nowait())
            number, previous = self.number, self.hash
            commits = []
            async with self.db.transaction():
                every = [key for keys, _, _ in group for key in keys]
                rows = await self.db.fetch("SELECT key FROM identity WHERE key = ANY($1::bytea[])", every)
                there = {row[0] for row in rows}
                records = []
                for keys, events, _ in group:
                    fresh = []
                    number += 1
                    for key, event in zip(keys, events, strict=True):
                        if key not in there:
                            there.add(key)
                            fresh.append(event)
                            records.append((key, number))
                    body = lz4.frame.compress(encode(fresh))
                    digest = hashlib.sha256(previous + number.to_bytes(8, "big") + body).digest()
                    commits.append((number, previous, digest, body))
                    previous = digest
                await self.db.copy_records_to_table("identity", records=records, columns=["key", "number"])
                await self.db.executemany("INSERT INTO commit VALUES ($1, $2, $3, $4)", commits)
            self.number, self.hash = number, previous
            for (_, _, done), commit in zip(group, commits, strict=True):
                done.set_result(commit[0])
                self.relayed.put_nowait((commit[0], commit[3]))

    async def relay(self) -> None:
        """Publish in order; every acknowledgement's sequence is the commit's number."""
        flight: deque[tuple[int, Any]] = deque()
        while True:
            if self.relayed.empty() and flight:
                await check(flight)
            number, body = await self.relayed.get()
            headers = {"Nats-Expected-Last-Sequence": str(number - 1)}
            flight.append((number, await self.js.publish_async(SUBJECT, body, headers=headers)))
            while len(flight) >= 256:
                await check(flight)


async def check(flight: deque[tuple[int, Any]]) -> None:
    """Read the oldest acknowledgement."""
    number, future = flight.popleft()
    if (await future).seq != number:
        raise ValueError("out of step")


class Projector:
    """The folding process: day facts, and a figure to read."""

    def __init__(self, db: asyncpg.Connection, pool: asyncpg.Pool, nc: Any, batch: int) -> None:
        self.db = db
        self.pool = pool
        self.nc = nc
        self.batch = batch
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.asked = 0
        self.series: dict[tuple[Any, ...], int] = {}
        self.applied = 0
        self.moved = asyncio.Condition()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        query = dict(part.split("=") for part in scope["query_string"].decode().split("&"))
        wanted = int(query["at_least"].rpartition(":")[2])
        async with self.moved:
            await self.moved.wait_for(lambda: self.applied >= wanted)
        async with self.pool.acquire() as conn:
            rows = await conn.fetch(
                "SELECT s.content, sum(f.quantity) AS done FROM series s JOIN day_fact f ON f.series = s.id"
                " WHERE s.person = $1 GROUP BY 1", query["person"],
            )  # fmt: skip
        await respond(send, encode([list(map(str, row)) for row in rows]))

    async def read(self) -> None:
        """Pull with requests kept ahead, no acknowledgements: the position is ours."""
        inbox = self.nc.new_inbox()

        async def receive(message: Any) -> None:
            if message.headers and "Status" in message.headers:
                self.asked = 0
            else:
                self.asked -= 1
                self.messages.put_nowait(message)

        subscription = await self.nc.subscribe(inbox, cb=receive)
        subscription._pending_bytes_limit = 1 << 30
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, mem_storage=True, inactive_threshold=60
        )
        consumer = (await self.nc.jetstream().add_consumer(STREAM, config)).name
        while True:
            if self.asked < 256:
                request = json.dumps({"batch": 512, "expires": 5_000_000_000}).encode()
                self.asked += 512
                await self.nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}", request, reply=inbox)
            try:
                async with asyncio.timeout(1.0):
                    waiting = [await self.messages.get()]
            except TimeoutError:
                continue
            while len(waiting) < self.batch and not self.messages.empty():
                waiting.append(self.messages.get_nowait())
            await self.fold([message.data for message in waiting])

    async def fold(self, bodies: list[bytes]) -> None:
        """Rows and checkpoint in one transaction."""
        sums: dict[tuple[Any, ...], list[int]] = {}
        for body in bodies:
            for event in decode(lz4.frame.decompress(body)):
                data = event.data
                key = (
                    event.subject, event.type, data.platform, data.account, data.on_topic, data.form,
                    data.counterpart, data.campaign, event.day,
                )  # fmt: skip
                total = sums.get(key)
                if total is None:
                    sums[key] = [data.quantity, 1]
                else:
                    total[0] += data.quantity
                    total[1] += 1
        new: list[tuple[int, str, str]] = []
        rows = []
        for key, (quantity, events) in sums.items():
            number = self.series.get(key[:8])
            if number is None:
                number = self.series[key[:8]] = len(self.series) + 1
                new.append((number, key[0], " ".join(map(str, key[:8]))))
            rows.append((number, key[8], quantity, events))
        rows.sort()
        async with self.db.transaction():
            if new:
                await self.db.copy_records_to_table("series", records=new)
            await self.db.execute(ADD, *map(list, zip(*rows, strict=True)))
            await self.db.execute("UPDATE checkpoint SET number = number + $1", len(bodies))
        async with self.moved:
            self.applied += len(bodies)
            self.moved.notify_all()


async def respond(send: Any, body: bytes) -> None:
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


async def serve(app: App, port: int, *tasks: Awaitable[None]) -> None:
    """Serve until killed; a failed task ends the process."""
    config = uvicorn.Config(app, port=port, lifespan="off", access_log=False, log_level="warning", http="httptools")
    await asyncio.gather(uvicorn.Server(config).serve(), *tasks)


async def run(role: str, port: int, dsn: str, url: str, batch: int) -> None:
    user, _, password = url.removeprefix("nats://").partition("@")[0].partition(":")
    nc = await nats.connect(
        "nats://" + url.rpartition("@")[2], user=user, password=password, pending_size=64 * 1024 * 1024
    )
    db = await asyncpg.connect(dsn)
    if role == "ingest":
        ingest = Ingest(db, nc)
        await serve(ingest, port, ingest.write(), ingest.relay())
    else:
        projector = Projector(db, await asyncpg.create_pool(dsn, min_size=1, max_size=4), nc, batch)
        await serve(projector, port, projector.read())


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
