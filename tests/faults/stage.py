"""A running system, a scenario played to it through its public interfaces, and the oracle's verdict at the end.

One stage serves many tests: each plays the next part of the scenario, and the oracle is asked about everything that
has been played so far. Whatever is killed meanwhile, every figure must be exactly the oracle's.
"""

from __future__ import annotations

import asyncio
import time
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import httpx
import yaml

from contracts.kpi import Policy
from deploy.local.instance import PROJECT
from deploy.local.process import RunnerError
from services.cli.access import Access
from services.cli.org import import_organisation, issue_token
from services.cli.policy import apply_policy
from services.kernel.positions import render
from tests.oracle import Key, expected_of
from tests.oracle.compare import compare_whole, report
from tests.oracle.generator import OrgChange, Scenario, Step
from tests.oracle.intake import Delivery
from tests.running import RunningSystem

PATIENCE = 120.0  # seconds that anybody here goes on trying; every wait is bounded

# Each kind of period once or twice: a whole month and one that the scenario only touches, weeks, days.
PERIODS = ("2026-03", "2026-04", "2026-W10", "2026-W13", "2026-03-03", "2026-03-18", "2026-03-31")


@dataclass
class Stage:
    """A system with the scenario's organisation and policy in it, and publishers with their tokens."""

    system: RunningSystem
    scenario: Scenario
    tokens: dict[str, str] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)  # of everything acknowledged
    deliveries: list[Delivery] = field(default_factory=list)  # everything played so far
    organisation: Any = None  # as the import has it by now
    _played: int = 0

    def prepare(self) -> None:
        """Start, import the organisation as first known, put the handbook's policy in force, fetch tokens."""
        self.system.up()
        self.organisation = deepcopy(self.scenario.initial)
        policy = yaml.safe_load((PROJECT / "deploy" / "handbook" / "policy.yaml").read_text(encoding="utf-8"))
        with Access(self.system.instance, "director") as access:
            self._import(access, self.organisation)
            apply_policy(access, Policy.model_validate(policy))
        with Access(self.system.instance, "operator") as access:
            for entry in self.organisation["publishers"]:
                self.tokens[entry["publisher"]] = issue_token(access, entry["publisher"], rotate=False) or ""

    def next_steps(self, share: float) -> list[Step]:
        """Take the next part of the scenario; the oracle reckons with it from now on."""
        count = round(share * len(self.scenario.steps))
        steps = self.scenario.steps[self._played : self._played + count]
        assert len(steps) == count, "the scenario is over: make it longer"
        self._played += count
        self.deliveries += [step for step in steps if isinstance(step, Delivery)]
        return steps

    async def change(self, step: OrgChange) -> None:
        """Import a change, again and again until it is in: the command can be repeated."""
        with Access(self.system.instance, "director") as access:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    await asyncio.to_thread(self._import, access, step.document)
                    break
                except RunnerError:
                    if time.monotonic() > until:
                        raise
                await asyncio.sleep(0.3)
        self._remember(step.document)

    @staticmethod
    def _import(access: Access, document: Any) -> None:
        content = yaml.safe_dump(document, allow_unicode=True).encode()
        import_organisation(access, content, "application/yaml")

    def _remember(self, document: dict[str, Any]) -> None:
        """Put the document's people and accounts, each as a whole, in the place of what was known of them."""
        for kind, names in (("people", ("person",)), ("accounts", ("platform", "handle"))):
            for entry in document.get(kind, ()):
                same = [entry[name] for name in names]
                others = [one for one in self.organisation[kind] if [one[name] for name in names] != same]
                self.organisation[kind] = [*others, deepcopy(entry)]

    # -- judging ------------------------------------------------------------------------------------------------------

    def director(self, service: str = "kpi") -> httpx.AsyncClient:
        """A client of kpi's API (of a replica: "kpi-2") that may see everything."""
        with Access(self.system.instance, "director") as access:
            headers = {"Authorization": f"Bearer {access.bearer()}"}
        return httpx.AsyncClient(base_url=self.system.url(service), headers=headers, timeout=30)

    def expected(self, periods: tuple[str, ...] = PERIODS) -> dict[Key, Any]:
        return expected_of(self.organisation, self.deliveries, periods)

    async def assert_exact(
        self, periods: tuple[str, ...] = PERIODS, *, patience: float = 60.0, source: str = "kpi"
    ) -> None:
        """Every figure equals the oracle's, once holds have been released and everything is folded."""
        wanted = await asyncio.to_thread(self.expected, periods)
        assert len(wanted) > 100
        until = time.monotonic() + patience
        async with self.director(source) as kpi:
            while True:
                try:
                    found = await compare_whole(kpi, wanted, periods, at_least=render(self.positions) or None)
                except httpx.HTTPError:  # it has not caught up yet
                    if time.monotonic() > until:
                        raise
                else:
                    if not found:
                        return
                    assert time.monotonic() < until, report(found, len(wanted))
                await asyncio.sleep(0.5)

    def assert_verified(self) -> None:
        """`opsledger verify` finds every chain whole, every stream like its ledger, every figure recomputed."""
        done = self.system.opsledger("verify", check=False, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
