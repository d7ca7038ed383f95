"""Measures that need no product: the bare script, the bare publish, the obvious way, and what the machine can do."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nats

from tests.benchmarks import meter, naive
from tests.benchmarks.load import Events
from tests.benchmarks.machine import PROJECT, Bare, Generator, Servers

BATCH = 500
CONNECTIONS = 6
IN_FLIGHT = 1000


async def throughput(
    generator: Generator, target: Any, run: int, events: int, *, batch: int = BATCH, live: bool = True
) -> dict[str, Any]:
    """Send `events` as fast as they are taken and wait until the figures hold them.

    `target` (the bare script or the product) has address, path, token, pids and `visible(position)`.
    """
    generator.prepare(
        run=run, events=events, batch=batch, connections=CONNECTIONS, address=target.address, path=target.path,
        token=target.token(), live=live,
    )  # fmt: skip
    pids = [*target.pids, generator.pid]
    before, began = meter.cpu_seconds(pids), time.perf_counter()
    generator.start()
    result = await asyncio.to_thread(generator.finish)
    await target.visible(result["position"])
    seconds = time.perf_counter() - began
    cost = meter.spent(before, meter.cpu_seconds(pids))
    if result["recorded"] != events:
        raise RuntimeError(f"{events} sent, {result['recorded']} recorded")
    return {
        "events_per_second": round(events / seconds),
        "cpu_us_per_event": round(sum(cost.values()) / events * 1e6, 2),
        "cpu_us_by_process": {name: round(value / events * 1e6, 2) for name, value in cost.items() if value},
        "answer_ms": meter.percentiles(result["answers"]),
    }


async def freshness(generator: Generator, target: Any, run: int, events: int, rate: int = 15_000) -> dict[str, Any]:
    """Send at a rate; from the publisher's send until a person's figure that holds the batch has been read."""
    generator.prepare(
        run=run, events=events, batch=BATCH, connections=4, rate=rate, address=target.address, path=target.path,
        token=target.token(), probe=target.probe, probe_address=target.probe_address,
        probe_token=target.reader_token(),
    )  # fmt: skip
    generator.start()
    result = await asyncio.to_thread(generator.finish)
    return {
        "events_per_second": round(events / result["seconds"]),
        "fresh_ms": meter.percentiles(result["fresh"]),
        "answer_ms": meter.percentiles(result["answers"]),
    }


async def bare_rebuild(bare: Bare) -> dict[str, Any]:
    """Fold the bare ledger's stream anew, with large flushes; the process's start is not counted."""
    head = await bare.head()
    again = Bare(bare.servers, batch=200)
    try:
        began = time.perf_counter()
        await again.fold_anew()
        await again.visible(f"bare:{head}")
        return {"seconds": round(time.perf_counter() - began, 2), "commits": head}
    finally:
        again.stop()


async def pipelined_publish(url: str, user: str, password: str, subject: str, count: int, **more: Any) -> float:
    """Publish one event a message with a window of acknowledgements; returns messages per second."""
    events = Events(run=0x7000_0000 | int(time.time()) & 0xFF_FFFF)
    bodies = [events.one() for _ in range(count)]
    nc = await nats.connect(url, user=user, password=password, pending_size=64 * 1024 * 1024, **more)
    js = nc.jetstream(publish_async_max_pending=IN_FLIGHT, timeout=30)
    began = time.perf_counter()
    waiting = [await js.publish_async(subject, body) for body in bodies]
    await asyncio.gather(*waiting)
    rate = count / (time.perf_counter() - began)
    await nc.close()
    return rate


async def obvious_way(servers: Servers, count: int) -> dict[str, Any]:
    """A FastStream handler with a session for each message."""
    await servers.stream(naive.STREAM, naive.SUBJECT)
    dsn = await servers.database("SELECT 1")
    users = servers.nats.users
    await pipelined_publish(servers.nats.url, "admin", users["admin"], naive.SUBJECT, count)
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.naive", dsn, servers.nats_url, str(count)],
        cwd=PROJECT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the obvious way did not start")
        pids = [process.pid, *servers.pids]
        before, began = meter.cpu_seconds(pids), time.perf_counter()
        await asyncio.to_thread(process.stdout.readline)
        seconds = time.perf_counter() - began
        cost = sum(meter.spent(before, meter.cpu_seconds([*servers.pids])).values())
        return {"events_per_second": round(count / seconds), "server_cpu_us_per_event": round(cost / count * 1e6)}
    finally:
        process.kill()
        process.wait()


def loopback_mb_per_second(megabytes: int = 400) -> float:
    """Return what one connection over 127.0.0.1 carries between two threads."""
    listener = socket.create_server(("127.0.0.1", 0))
    chunk = b"x" * 262_144
    received = 0

    def drain() -> None:
        nonlocal received
        link, _ = listener.accept()
        while data := link.recv(1 << 20):
            received += len(data)

    thread = threading.Thread(target=drain)
    thread.start()
    began = time.perf_counter()
    with socket.create_connection(listener.getsockname()) as link:
        for _ in range(megabytes * 4):
            link.sendall(chunk)
    thread.join()
    listener.close()
    return round(received / 1e6 / (time.perf_counter() - began))


def limits(folder: Path) -> dict[str, Any]:
    """What the machine gives at most, in this very run."""
    return {"flush_8kB_us": meter.flush_microseconds(folder), "loopback_MB_per_s": loopback_mb_per_second()}
