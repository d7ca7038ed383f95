"""Wakes whoever waits for a position as soon as a projector of this process has applied it.

A hint only: whoever is woken reads the checkpoints again, and where another process leads they are polled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from services.kernel.codec import Commit
from services.kernel.projector import Projector

POLL = 0.1  # seconds between looks at the checkpoints while this process itself moves them


class Progress:
    """What the projectors of one process have applied since it began."""

    def __init__(self, projectors: Collection[Projector]) -> None:
        self.moves = 0
        self._projectors = projectors
        self._waiting: dict[asyncio.Future[None], Mapping[str, int]] = {}
        for projector in projectors:
            projector.on_applied(self._moved)

    def _moved(self, ledger: str, commits: Sequence[Commit]) -> None:
        self.moves += 1
        for woken, missing in self._waiting.items():
            if ledger in missing and missing[ledger] <= commits[-1].number and not woken.done():
                woken.set_result(None)

    async def reaches(self, missing: Mapping[str, int], since: int, pause: float) -> None:
        """Return when one of the missing positions is applied here, or after a while; at once if `moves` is not
        `since` any more. The while is `pause` seconds where another process may be the one that applies."""
        if self.moves != since:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[woken] = missing
        try:
            async with asyncio.timeout(POLL if self._leads(missing) else pause):
                await woken
        except TimeoutError:
            pass
        finally:
            del self._waiting[woken]

    def _leads(self, missing: Mapping[str, int]) -> bool:
        followed = [(one, ledger) for one in self._projectors for ledger in one.projection.ledgers if ledger in missing]
        return all(ledger in one.leads for one, ledger in followed)
