"""Kills processes in turn and measures how long the system needs to be itself again, with nobody's help."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from deploy.local.health import ready
from tests.eventually import eventually
from tests.faults.load import Load
from tests.running import RunningSystem

RECOVERY = 60.0  # seconds; on an idle machine it is a few


@dataclass
class Chaos:
    """`recovered` says how many seconds passed from each kill until all was ready and a publisher was answered."""

    system: RunningSystem
    load: Load
    recovered: list[tuple[str, float]] = field(default_factory=list)

    async def kill_each(self, victims: Sequence[str]) -> None:
        """kill -9 one after the other; the next one when the one before has been recovered from."""
        for victim in victims:
            await self.strike(victim, lambda victim=victim: self._kill(victim))  # type: ignore[misc]

    async def strike(self, name: str, blow: Callable[[], Awaitable[None]]) -> None:
        """Do the damage and wait for the recovery."""
        await self.all_ready()
        began = time.monotonic()
        await blow()
        answered = self.load.answered
        await eventually(lambda: self.load.answered > answered, timeout=RECOVERY)
        await self.all_ready()
        self.recovered.append((name, time.monotonic() - began))

    async def kill_together(self, victims: Sequence[str]) -> None:
        """kill -9 several in the same moment, as when the machine goes down."""

        async def blow() -> None:
            pids = {victim: self.system.kill(victim) for victim in victims}
            for victim, pid in pids.items():
                await asyncio.to_thread(self.system.wait_restarted, victim, pid, RECOVERY)

        await self.strike(" and ".join(victims), blow)

    async def _kill(self, victim: str) -> None:
        pid = await asyncio.to_thread(self.system.kill, victim)
        await asyncio.to_thread(self.system.wait_restarted, victim, pid, RECOVERY)

    async def all_ready(self) -> None:
        services = [name for name in self.system.processes() if name not in ("nats", "postgres", "portal")]

        def are() -> bool:
            return all(ready(self.system.url(name)).ready for name in services)

        await eventually(lambda: asyncio.to_thread(are), timeout=RECOVERY, every=0.1)
