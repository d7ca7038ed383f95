"""`make bench`: measures the product beside the bare script, in turn, and prints and keeps the figures.

    python -m tests.benchmarks            about six minutes
    python -m tests.benchmarks --quick    about two minutes, smaller numbers
    python -m tests.benchmarks --full     more rounds, and reads and cost at ten million activities

What is measured, and how, is in the functions' own sentences. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.local.postgres import SETTINGS
from tests.benchmarks import meter, rounds
from tests.benchmarks.desks import desks
from tests.benchmarks.machine import Bare, Generator, Servers, ending
from tests.benchmarks.product import Product
from tests.benchmarks.reads import reads
from tests.benchmarks.report import table

RESULTS = Path(__file__).parent / "results"
SIZES = {
    #         events a round, rounds, fresh, rebuild, messages, obvious, questions, idle s, large
    "quick": (60_000, 2, 90_000, 200_000, 3_000, 400, 60, 5, 0),
    "usual": (200_000, 3, 225_000, 1_000_000, 10_000, 1_000, 200, 20, 0),
    "full": (300_000, 5, 450_000, 1_000_000, 20_000, 2_000, 400, 60, 10_000_000),
}


class Bench:
    """One run. Results are kept as they come, so that an interrupted run is not lost."""

    def __init__(self, mode: str, folder: Path, only: set[str]) -> None:
        (
            self.events, self.rounds, self.fresh, self.rebuild, self.messages, self.obvious, self.questions, self.idle,
            self.large,
        ) = SIZES[mode]  # fmt: skip
        self.only = only
        self.product = Product(folder / "home")
        self.servers = Servers(folder)
        self.bare = Bare(self.servers)
        self.generator = Generator()
        self.run = int(time.time()) & 0x3FFF_FFFF
        self.sent = 0
        self.results: dict[str, Any] = {
            "mode": mode,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()},
            "postgres": {name: SETTINGS[name] for name in ("fsync", "synchronous_commit", "full_page_writes")},
            "nats": {"sync_interval": "always"},
        }

    def next_run(self) -> int:
        self.run += 1
        return self.run

    async def measure(self) -> None:
        """Everything, one after the other; the bare script and the product never run under load together."""
        self.results["limits"] = rounds.limits(self.servers.postgres.place.parent)
        self.servers.start()
        await self.bare.start()
        self.product.start()
        self.results["ready_seconds"] = round(self.product.ready_seconds, 1)
        self.results["import_1000_people_seconds"] = round(self.product.load(), 1)
        for name, step in self.steps().items():
            if not self.only or name in self.only:
                began = time.perf_counter()
                print(f"{name} ...", flush=True)
                await step()
                print(
                    f"    {time.perf_counter() - began:.0f} s  {json.dumps(self.results.get(name))[:400]}", flush=True
                )

    def steps(self) -> dict[str, Callable[[], Any]]:
        return {
            "throughput": self.throughput,
            "freshness": self.freshness,
            "inbox": self.inbox,
            "obvious_way": self.obvious_way,
            "rebuild": self.rebuilding,
            "reads": self.reading,
            "tickets": self.desks,
            "idle": self.idling,
            "growth": self.growth,
        }

    async def throughput(self) -> None:
        """Bare and product in turn; each round's ratio is of neighbours in time."""
        bare: list[dict[str, Any]] = []
        product: list[dict[str, Any]] = []
        for target in (self.bare, self.product):  # the first, for warmth, is thrown away
            await rounds.throughput(self.generator, target, self.next_run(), self.events // 3)
        self.sent += self.events // 3
        for _ in range(self.rounds):
            bare.append(await rounds.throughput(self.generator, self.bare, self.next_run(), self.events))
            product.append(await rounds.throughput(self.generator, self.product, self.next_run(), self.events))
            self.sent += self.events
        pairs = list(zip(bare, product, strict=True))
        self.results["throughput"] = {
            "bare": _middle(bare),
            "product": _middle(product),
            "ratio": round(meter.median([p["events_per_second"] / b["events_per_second"] for b, p in pairs]), 3),
            "cpu_ratio": round(meter.median([b["cpu_us_per_event"] / p["cpu_us_per_event"] for b, p in pairs]), 3),
            "resident_mb": meter.resident_mb(self.product.pids),
        }

    async def freshness(self) -> None:
        """From the publisher's send to a read that holds the batch, at 15,000 events/s."""
        self.results["freshness"] = {
            "bare": await rounds.freshness(self.generator, self.bare, self.next_run(), self.fresh),
            "product": await rounds.freshness(self.generator, self.product, self.next_run(), self.fresh),
        }
        self.sent += self.fresh

    async def inbox(self) -> None:
        """One event a message with the broker's durable acknowledgement, against a stream that nobody reads."""
        await self.servers.stream("BARE_INBOX", "bareinbox.>")
        users, bare, product = self.servers.nats.users, [], []
        token = self.product.publisher_token
        for _ in range(self.rounds):
            bare.append(
                await rounds.pipelined_publish(
                    self.servers.nats.url, "admin", users["admin"], "bareinbox.x", self.messages
                )
            )
            product.append(
                await rounds.pipelined_publish(
                    self.product.nats_url, "bench", token, "inbox.bench.activity", self.messages,
                    inbox_prefix=b"_INBOX.bench",
                )
            )  # fmt: skip
            await self.product.settled()
        self.sent += self.rounds * self.messages
        self.results["inbox"] = {
            "bare_per_second": round(meter.median(bare)),
            "product_per_second": round(meter.median(product)),
            "ratio": round(meter.median([p / b for b, p in zip(bare, product, strict=True)]), 3),
        }

    async def obvious_way(self) -> None:
        """FastStream handler, pydantic, a session for each message."""
        found = await rounds.obvious_way(self.servers, self.obvious)
        sustained = self.results.get("throughput", {}).get("product", {}).get("events_per_second", 0)
        self.results["obvious_way"] = found | {"product_is_times": round(sustained / found["events_per_second"])}

    async def rebuilding(self) -> None:
        """Fold all day facts anew from at least a million activities (a month's work of a thousand people)."""
        await self._fill(self.rebuild)
        await self.product.settled()
        report = await asyncio.to_thread(self.product.rebuild)
        self.results["rebuild"] = {
            "activities": self.sent,
            "commits": report["commits"],
            "seconds": report["seconds"],
            "seconds_per_million": round(report["seconds"] / self.sent * 1e6, 2),
            "differences": len(report["differences"]),
            "bare": await rounds.bare_rebuild(self.bare),
        }

    async def _fill(self, total: int) -> None:
        while self.sent < total:
            count = min(500_000, total - self.sent)
            last = await rounds.throughput(self.generator, self.product, self.next_run(), count, live=False)
            self.sent += count
            self.results.setdefault("filling", []).append({"activities": self.sent} | last)

    async def reading(self) -> None:
        """Department table, person's page, explain; with what has been recorded so far."""
        self.results["reads"] = {"activities": self.sent} | await reads(self.product, self.questions)

    async def desks(self) -> None:
        """Durable commands on tickets from 16 concurrent clients, and reads with what they left."""
        self.results["tickets"] = await desks(self.product, float(self.idle), self.questions)

    async def idling(self) -> None:
        """Resident memory and CPU at rest, of an instance of its own with the demonstration in it."""
        other = Product(self.servers.postgres.place.parent / "demo")
        with ending(other):
            other.start()
            await asyncio.to_thread(other.demo)
            await asyncio.sleep(min(self.idle, 10))
            before, began = meter.cpu_seconds(other.pids), time.perf_counter()
            await asyncio.sleep(self.idle)
            cost = meter.spent(before, meter.cpu_seconds(other.pids))
            resident = meter.resident_mb(other.pids)
            self.results["idle"] = {
                "ready_seconds": round(other.ready_seconds, 1),
                "resident_mb": round(sum(resident.values())),
                "resident_mb_by_process": resident,
                "cpu_percent_of_a_core": round(sum(cost.values()) / (time.perf_counter() - began) * 100, 2),
                "cpu_percent_by_process": {
                    name: round(value / self.idle * 100, 2) for name, value in cost.items() if value
                },
            }

    async def growth(self) -> None:
        """CPU per event, memory and reads again after ten million activities (full mode only)."""
        if not self.large:
            return
        await self._fill(self.large)
        again = await rounds.throughput(self.generator, self.product, self.next_run(), self.events)
        self.sent += self.events
        first = self.results["throughput"]["product"]
        self.results["growth"] = {
            "activities": self.sent,
            "product": again,
            "cpu_ratio": round(again["cpu_us_per_event"] / first["cpu_us_per_event"], 3),
            "resident_mb": meter.resident_mb(self.product.pids),
            "reads": await reads(self.product, self.questions),
        }


def _middle(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the round in the middle, by speed, and the medians of all."""
    ordered = sorted(measured, key=lambda one: one["events_per_second"])
    return {
        **ordered[len(ordered) // 2],
        "events_per_second": round(meter.median([one["events_per_second"] for one in measured])),
        "cpu_us_per_event": round(meter.median([one["cpu_us_per_event"] for one in measured]), 1),
        "rounds": [(one["events_per_second"], one["cpu_us_per_event"]) for one in measured],
    }


def main() -> None:
    """Measure, print, keep."""
    asked = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--full", action="store_true")
    asked.add_argument("--only", nargs="*", default=[], help="throughput freshness inbox obvious_way rebuild ...")
    asked.add_argument("--keep", action="store_true", help="also write results/<date>.json, to be checked in")
    options = asked.parse_args()
    mode = "quick" if options.quick else "full" if options.full else "usual"
    folder = Path(tempfile.mkdtemp(prefix="opsledger-bench-"))
    folder.chmod(0o755)  # the database's account passes through
    bench = Bench(mode, folder, set(options.only))
    try:
        with ending(bench.generator, bench.bare, bench.product, bench.servers):
            asyncio.run(bench.measure())
        shutil.rmtree(folder, ignore_errors=True)  # kept when something went wrong: the logs are in it
    finally:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(bench.results, indent=1, ensure_ascii=False) + "\n"
        (RESULTS / "latest.json").write_text(text)
        if options.keep:
            (RESULTS / f"{bench.results['at'][:10]}.json").write_text(text)
    print(table(bench.results))


if __name__ == "__main__":
    main()
