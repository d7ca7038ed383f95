"""The product under measurement: an instance of its own in a temporary folder, loaded through its public interfaces."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from contracts.kpi import Binding, Policy
from deploy.local.instance import OFFSETS, PROJECT, Instance
from deploy.local.process import free_port, port_is_free, running_pid
from services.cli.access import Access
from services.cli.org import import_organisation, issue_token
from services.cli.policy import apply_policy, read_policy
from services.cli.projections import fold_anew
from tests.benchmarks.load import PUBLISHER, months, organisation

HANDBOOK = PROJECT / "deploy" / "handbook"
TOKEN_SECONDS = 300.0  # a bearer token lives longer than this


class Product:
    """Durable settings as delivered: Postgres with fsync, NATS with `sync_interval: always`."""

    path = "/v1/events"

    def __init__(self, home: Path) -> None:
        self.instance = Instance(home, _free_base())
        self.publisher_token = ""
        self.ready_seconds = 0.0
        self._tokens: dict[str, tuple[float, str]] = {}
        _, self.month = months()

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """`opsledger up`; the time until every service is ready is kept."""
        began = time.perf_counter()
        self._run("up")
        self.ready_seconds = time.perf_counter() - began

    def stop(self) -> None:
        self._run("down")

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *words], cwd=PROJECT, env=self.environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"opsledger {' '.join(words)}: {done.stdout[-2000:]} {done.stderr[-2000:]}")

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "OPSLEDGER_HOME": str(self.instance.home),
            "OPSLEDGER_PORT": str(self.instance.base_port),
        }

    def demo(self) -> None:
        """`opsledger demo`."""
        self._run("demo")

    @property
    def pids(self) -> list[int]:
        """The supervisor's process; everything else is below it."""
        pid = running_pid(self.instance.pid_file("supervisor"))
        return [pid] if pid is not None else []

    # -- loading ------------------------------------------------------------------------------------------------

    def load(self) -> float:
        """Import the organisation and the handbook's policy; returns seconds of the large import."""
        with Access(self.instance, "director") as director:
            content = (HANDBOOK / "organisation.yaml").read_bytes()
            import_organisation(director, content, "application/yaml")
            apply_policy(director, everywhere(read_policy(HANDBOOK / "policy.yaml")))
            began = time.perf_counter()
            import_organisation(director, json.dumps(organisation()).encode(), "application/json")
            seconds = time.perf_counter() - began
        with Access(self.instance, "operator") as operator:
            token = issue_token(operator, PUBLISHER, rotate=False)
            if token is None:
                raise RuntimeError("the publisher has a token already")
            self.publisher_token = token
        return seconds

    # -- identities ---------------------------------------------------------------------------------------------

    def token(self) -> str:
        """A bearer token of the publisher."""
        grant = {"grant": "publisher", "publisher": PUBLISHER, "token": self.publisher_token}
        return self._kept("publisher", grant)

    def reader_token(self) -> str:
        """A bearer token of the director."""
        with Access(self.instance, "director") as access:
            return access.bearer()

    def _kept(self, name: str, grant: dict[str, str]) -> str:
        until, token = self._tokens.get(name, (0.0, ""))
        if until < time.monotonic():
            answer = httpx.post(self.instance.url("org") + "/v1/token", json=grant, timeout=30)
            answer.raise_for_status()
            token = answer.json()["access_token"]
            self._tokens[name] = (time.monotonic() + TOKEN_SECONDS, token)
        return token

    # -- where to send, where to read ---------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"{self.instance.host}:{self.instance.port('activity')}"

    @property
    def probe_address(self) -> str:
        return f"{self.instance.host}:{self.instance.port('kpi')}"

    @property
    def probe(self) -> str:
        """One person's figure of the month, at least at the batch's own position."""
        return f"/v1/attainments?period={self.month}&scope=person&id={{person}}&at_least={{position}}"

    @property
    def nats_url(self) -> str:
        return f"nats://{self.instance.host}:{self.instance.port('nats')}"

    async def visible(self, position: str, patience: float = 300.0) -> None:
        """Wait until a person's figures of the month hold everything up to a position."""
        path = self.probe.replace("{person}", "B0001").replace("{position}", position)
        headers = {"Authorization": f"Bearer {self.reader_token()}"}
        deadline = time.monotonic() + patience
        async with httpx.AsyncClient(base_url=self.instance.url("kpi"), timeout=60) as client:
            while True:
                answer = await client.get(path, headers=headers)
                if answer.status_code == 200:
                    return
                if answer.status_code != 503 or time.monotonic() > deadline:
                    raise RuntimeError(f"{answer.status_code} {answer.text[:500]}")
                await asyncio.sleep(0.02)

    async def settled(self) -> None:
        """Wait until the inbox is empty and everything that was recorded is in the figures."""
        unchanged, before = 0, ""
        while unchanged < 3:
            await asyncio.sleep(0.4)
            head = self.head()
            unchanged, before = (unchanged + 1 if head == before else 0), head
        await self.visible(before)

    def head(self) -> str:
        """Return the position of the last activity commit."""
        with Access(self.instance, "auditor") as access:
            heads: dict[str, int] = access.call("GET", "activity", "/v1/ledger/head")["heads"]
        return ",".join(f"{ledger}:{number}" for ledger, number in heads.items())

    def rebuild(self, projection: str = "facts") -> dict[str, Any]:
        """Rebuild a projection beside the live one and switch; returns the service's own report."""
        with Access(self.instance, "operator") as access:
            return fold_anew(access, "kpi", projection, lambda done, of: None, switch=True, accept=False)


def everywhere(policy: Policy) -> Policy:
    """Return the handbook's policy with every quota of the promotion department due in all its groups."""
    bound = [
        quota.model_copy(update={"binding": Binding(units=["promotion"])}) if quota.binding.units else quota
        for quota in policy.quotas
    ]
    return policy.model_copy(update={"quotas": bound})


def _free_base() -> int:
    """Return a base port with every service's port free above it."""
    while True:
        base = free_port()
        if base < 60_000 and all(port_is_free(base + offset) for offset in OFFSETS.values()):
            return base
