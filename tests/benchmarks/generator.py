"""The load generator, a process of its own: sends prepared batches over a few kept connections, optionally at a rate.

Speaks JSON lines with its owner: an order on standard input, an answer on standard output. It prepares before it says
"ready", so that the clock and the CPU account begin with the first request.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import deque
from typing import Any

import uvloop

from tests.benchmarks.load import Events, people

_POSITION = re.compile(rb'"position":\s*"([^"]+)"')


class Link(asyncio.Protocol):
    """One HTTP/1.1 connection, one request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._buffer = bytearray()
        self._needed: int | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the server hung up: {error}"))

    def ask(self, *parts: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request; the future holds (status, body)."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.writelines(parts)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._needed is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            length = head.find(b"content-length:")
            if length < 0:
                raise ValueError("an answer without content-length")
            self._needed = end + 4 + int(head[length + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) >= self._needed and self._answer is not None:
            whole = bytes(self._buffer[: self._needed])
            del self._buffer[: self._needed]
            self._needed = None
            self._answer.set_result((int(whole[9:12]), whole[whole.find(b"\r\n\r\n") + 4 :]))


async def link_to(address: str) -> Link:
    """Connect to "host:port"."""
    host, _, port = address.partition(":")
    _, link = await asyncio.get_running_loop().create_connection(Link, host, int(port))
    return link


def head_of(method: str, address: str, path: str, token: str, size: int | None = None) -> bytes:
    """Return a request's head."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address}", "Accept: application/json"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if size is not None:
        lines += ["Content-Type: application/cloudevents-batch+json", f"Content-Length: {size}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Run:
    """One order: so many events in batches over so many connections; `rate` events/s or as fast as it goes."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        size = order["batch"]
        self.bodies: deque[bytes] = deque(
            Events(order["run"], live=order.get("live", True)).batches(order["events"], size)
        )
        self.size = size
        self.every = size / order["rate"] if order.get("rate") else 0.0
        self.recorded = 0
        self.sent = 0
        self.position = ""
        self.furthest = 0
        self.answers: list[float] = []  # milliseconds
        self.fresh: list[float] = []
        self.errors: list[str] = []
        self._due = 0.0
        self._people = people()
        self._probes: set[asyncio.Task[None]] = set()

    async def go(self) -> dict[str, Any]:
        """Send everything; return what came of it."""
        began = self._due = time.perf_counter()
        links = [await link_to(self.order["address"]) for _ in range(self.order["connections"])]
        self._free = [await link_to(self.order["probe_address"]) for _ in range(4)] if self.order.get("probe") else []
        await asyncio.gather(*(self._sender(link) for link in links))
        took = time.perf_counter() - began
        await asyncio.gather(*self._probes)
        return {
            "seconds": took, "recorded": self.recorded, "sent": self.sent, "position": self.position,
            "answers": self.answers, "fresh": self.fresh, "errors": self.errors[:3],
        }  # fmt: skip

    async def _sender(self, link: Link) -> None:
        order, address = self.order, self.order["address"]
        while self.bodies and not self.errors:
            body = self.bodies.popleft()
            if self.every:
                self._due, due = self._due + self.every, self._due
                wait = due - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
            began = time.perf_counter()
            head = head_of("POST", address, order["path"], order.get("token", ""), len(body))
            status, answer = await link.ask(head, body)
            self.answers.append((time.perf_counter() - began) * 1e3)
            if status != 200:
                self.errors.append(f"{status} {answer[:300]!r}")
                return
            self.sent += self.size
            self.recorded += answer.count(b'"recorded"')
            found = _POSITION.search(answer[-300:]) or _POSITION.search(answer)
            if found:
                position = found.group(1).decode()
                number = int(position.rpartition(":")[2])
                if number > self.furthest:
                    self.furthest, self.position = number, position
                if self._free and len(self.answers) % order.get("probe_each", 1) == 0:
                    probe = asyncio.create_task(self._probe(began, position, body))
                    self._probes.add(probe)
                    probe.add_done_callback(self._probes.discard)

    async def _probe(self, began: float, position: str, body: bytes) -> None:
        """Read a figure of the batch's first person, at least at the batch's position."""
        if not self._free:
            return
        link = self._free.pop()
        at = body.find(b'"subject":"') + 11
        person = body[at : body.find(b'"', at)].decode()
        path = self.order["probe"].replace("{person}", person).replace("{position}", position)
        head = head_of("GET", self.order["probe_address"], path, self.order.get("probe_token", ""))
        try:
            status, answer = await link.ask(head)
        except ConnectionError as error:
            self.errors.append(f"probe: {error}")
            return
        self.fresh.append((time.perf_counter() - began) * 1e3)
        self._free.append(link)
        if status != 200:
            self.errors.append(f"probe {status} {answer[:300]!r}")


def main() -> None:
    """Take orders until standard input ends."""
    for line in sys.stdin:
        run = Run(json.loads(line))
        print(json.dumps("ready"), flush=True)
        sys.stdin.readline()
        print(json.dumps(uvloop.run(run.go())), flush=True)


if __name__ == "__main__":
    main()
