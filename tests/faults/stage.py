"""A running system, a scenario played to it through its public interfaces, and the oracle's verdict at the end.

The publishers here behave as careful ones do: what is not answered is sent again with the same ids. Whatever is killed
meanwhile, every figure must in the end be exactly what the oracle computes from the deliveries alone.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import yaml

from contracts.activity import IntakeResult
from contracts.client.batches import PublishError
from contracts.client.over_http import HttpPublisher, TokenExchange
from contracts.client.over_nats import NatsPublisher
from deploy.local.instance import PROJECT
from services.kernel.positions import merge, parse, render
from tests.oracle import expected
from tests.oracle.compare import Difference, compare, report
from tests.oracle.generator import OrgChange, Scenario, Step
from tests.oracle.intake import Delivery
from tests.running import RunningSystem

PATIENCE = 180.0  # seconds that a publisher goes on trying; every wait here is bounded


@dataclass
class Stage:
    """A system with the scenario's organisation and policy in it, and publishers with their tokens."""

    system: RunningSystem
    scenario: Scenario
    tokens: dict[str, str] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)

    def prepare(self) -> None:
        """Start, import the organisation as first known, put the handbook's policy in force, fetch tokens."""
        self.system.up()
        self.apply(self.scenario.initial)
        self.system.opsledger("policy", "apply", str(PROJECT / "deploy" / "handbook" / "policy.yaml"))
        with httpx.Client(base_url=self.system.url("org"), headers=self.authorised("operator"), timeout=30) as org:
            for entry in self.scenario.initial["publishers"]:
                answer = org.post(f"/v1/publishers/{entry['publisher']}/token")
                answer.raise_for_status()
                self.tokens[entry["publisher"]] = answer.json()["token"]

    def authorised(self, role: str = "director") -> dict[str, str]:
        token = self.system.opsledger("token", "--role", role).stdout.strip()
        return {"Authorization": f"Bearer {token}"}

    def apply(self, document: dict[str, Any]) -> None:
        """Import a document, again and again until it is in: the command can be repeated."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            yaml.safe_dump(document, file, allow_unicode=True)
            file.flush()
            until = time.monotonic() + PATIENCE
            while True:
                done = self.system.opsledger("org", "apply", file.name, check=False)
                if done.returncode == 0:
                    return
                assert time.monotonic() < until, done.stdout + done.stderr
                time.sleep(0.3)

    # -- playing ------------------------------------------------------------------------------------------------------

    async def play(self, steps: Iterable[Step], *, over: str = "both", most: int = 25) -> None:
        """Deliver the steps in order: runs of one publisher as batches, org changes in between as imports.

        `over`: "http", "nats" (requests), "inbox", or "both" (HTTP and requests in turn).
        """
        async with self._publishers(over) as send:
            for number, run in enumerate(runs(steps, most)):
                if isinstance(run, OrgChange):
                    await asyncio.to_thread(self.apply, run.document)
                    continue
                for result in await send(number, run[0].publisher, [delivery.event for delivery in run]):
                    self.outcomes[result.outcome] += 1
                    self.positions = merge(self.positions, parse(result.commit))

    @asynccontextmanager
    async def _publishers(
        self, over: str
    ) -> AsyncIterator[Callable[[int, str, list[dict[str, Any]]], Awaitable[list[IntakeResult]]]]:
        async with httpx.AsyncClient(timeout=15) as client:
            over_nats: dict[str, NatsPublisher] = {}

            async def send(number: int, publisher: str, events: list[dict[str, Any]]) -> list[IntakeResult]:
                http = over == "http" or (over == "both" and number % 2 == 0)

                async def once() -> list[IntakeResult]:
                    if http:
                        return await HttpPublisher(
                            self.system.url("activity"), self._bearer(client, publisher), client=client, attempts=3
                        ).send(events)
                    if publisher not in over_nats:
                        nats = NatsPublisher(self.system.nats_url, publisher, self.tokens[publisher], attempts=2)
                        over_nats[publisher] = await nats.__aenter__()
                    if over == "inbox":
                        return await over_nats[publisher].deliver(events)
                    return await over_nats[publisher].request(events, timeout=10)

                return await patiently(once)

            try:
                yield send
            finally:
                for nats in over_nats.values():
                    await nats.__aexit__(None, None, None)

    def _bearer(self, client: httpx.AsyncClient, publisher: str) -> TokenExchange:
        if publisher not in self._exchanges:
            grant: dict[str, object] = {
                "grant": "publisher_token",
                "publisher": publisher,
                "token": self.tokens[publisher],
            }
            self._exchanges[publisher] = TokenExchange(client, self.system.url("org"), grant)
        exchange = self._exchanges[publisher]
        exchange._client = client
        return exchange

    _exchanges: dict[str, TokenExchange] = field(default_factory=dict)

    # -- judging ------------------------------------------------------------------------------------------------------

    async def differences(self, periods: Iterable[str] | None = None) -> list[Difference]:
        """Compare every figure of the periods with the oracle's, once what was acknowledged is folded in."""
        found: list[Difference] = []
        self.compared = 0
        async with httpx.AsyncClient(
            base_url=self.system.url("kpi"),
            headers=self.authorised(),
            timeout=60,
            limits=httpx.Limits(max_connections=4),
        ) as kpi:
            at_least: str | None = render(self.positions)
            for period in periods or self.scenario.periods:
                wanted = expected(self.scenario.organisation, self.scenario.deliveries, period)
                self.compared += len(wanted)
                found += await compare(kpi, wanted, at_least=at_least)
                at_least = None
        return found

    compared: int = 0

    async def assert_exact(self, periods: Iterable[str] | None = None) -> None:
        """Every figure equals the oracle's, once holds have been released and everything is folded."""
        periods = list(periods or self.scenario.periods)
        found = await self.differences(periods)
        for _ in range(20):
            if not found:
                break
            await asyncio.sleep(1.0)
            found = await self.differences(periods)
        assert self.compared > 100
        assert not found, report(found, self.compared)

    def assert_verified(self) -> None:
        """`opsledger verify` finds every chain whole, every stream like its ledger, every figure recomputed."""
        done = self.system.opsledger("verify", check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr


def runs(steps: Iterable[Step], most: int) -> Iterator[list[Delivery] | OrgChange]:
    """Group the steps into batches of one publisher; an org change stands alone."""
    for kind, group in itertools.groupby(steps, key=lambda s: s.publisher if isinstance(s, Delivery) else id(s)):
        members = list(group)
        if isinstance(members[0], OrgChange):
            yield from (step for step in members if isinstance(step, OrgChange))
            continue
        assert isinstance(kind, str)
        deliveries = [step for step in members if isinstance(step, Delivery)]
        for start in range(0, len(deliveries), most):
            yield deliveries[start : start + most]


async def patiently(once: Callable[[], Awaitable[list[IntakeResult]]]) -> list[IntakeResult]:
    """Try until it is answered; what is refused as a whole is no matter of patience."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return await once()
        except PublishError as error:
            if time.monotonic() > until or (error.status is not None and 400 <= error.status < 429):
                raise
        await asyncio.sleep(0.2)


class Chaos:
    """Kills processes in turn, waits until each is back, and goes on until told to stop."""

    def __init__(self, system: RunningSystem, victims: list[str], pause: float = 1.0) -> None:
        self.system = system
        self.victims = victims
        self.pause = pause
        self.killed: Counter[str] = Counter()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        for victim in itertools.cycle(self.victims):
            if self._stop.is_set():
                return
            pid = await asyncio.to_thread(self.system.kill, victim)
            self.killed[victim] += 1
            await asyncio.to_thread(self.system.wait_restarted, victim, pid, 60.0)
            try:
                async with asyncio.timeout(self.pause):
                    await self._stop.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        self._stop.set()
