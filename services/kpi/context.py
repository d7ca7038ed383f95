"""What the parts of the running service share: opened by the composition root, handed to routes and reactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
from fastapi import Request
from nats.aio.client import Client

from services.kernel import projection as live
from services.kernel.broker import current_epoch, last_sequence
from services.kernel.committer import GroupCommitter
from services.kernel.database import Database
from services.kernel.errors import Refusal, Unavailable
from services.kernel.identity import ServiceToken
from services.kernel.ledger import Ledger
from services.kernel.progress import Progress
from services.kernel.projection import Projection
from services.kernel.projector import Projector
from services.kernel.reader import StreamReader
from services.kernel.settings import Settings
from services.kpi.changes import Changes
from services.kpi.explain import EvidenceClient
from services.kpi.figures import Figures

SOON = 0.25  # seconds within which a projection holds what was just written


class Heads:
    """How far the ledgers of other services have been written: asked of their owners, else of the broker."""

    def __init__(self, settings: Settings, tokens: ServiceToken, client: httpx.AsyncClient, nc: Client) -> None:
        self._urls = {"org": settings.org_url, "activity": settings.activity_url}
        self._tokens = tokens
        self._client = client
        self._nc = nc

    async def of(self, ledgers: Sequence[str], *, sure: bool = False) -> dict[str, int]:
        """Return ledger -> number of its last commit. OSError when neither owner nor broker answers.

        `sure`: what no owner vouches for (it is silent, or its ledger is refused: its tail may be lost) is an OSError
        too. The broker may be behind the ledger.
        """
        found: dict[str, int] = {}
        for context in sorted({ledger.partition(".")[0] for ledger in ledgers}):
            found |= await self._asked(context, sure=sure)
        for ledger in ledgers:
            if ledger not in found:
                if sure:
                    raise OSError(f"the owner of {ledger} does not say how far it is")
                epoch = await current_epoch(self._nc, ledger)
                found[ledger] = (await last_sequence(self._nc, ledger, epoch) or 0) if epoch else 0
        return {ledger: found[ledger] for ledger in ledgers}

    async def of_one(self, ledger: str) -> int:
        """Return the number of a ledger's last commit. OSError as `of`."""
        return (await self.of([ledger]))[ledger]

    async def _asked(self, context: str, *, sure: bool) -> dict[str, int]:
        try:
            headers = {"Authorization": f"Bearer {await self._tokens()}"}
            answer = await self._client.get(f"{self._urls[context]}/v1/ledger/head", headers=headers)
            answer.raise_for_status()
            body = answer.json()
            heads: dict[str, int] = body["heads"]
            doubtful = body.get("refusals", {}) if sure else ()
        except Exception:  # whatever the owner's trouble is: the broker knows nearly as much
            return {}
        return {ledger: number for ledger, number in heads.items() if ledger not in doubtful}


@dataclass(slots=True)
class Kpi:
    """The open parts of the service."""

    settings: Settings
    db: Database
    nc: Client
    ledger: Ledger
    committer: GroupCommitter
    figures: Figures
    changes: Changes
    evidence: EvidenceClient
    heads: Heads
    projectors: dict[str, Projector]
    progress: Progress  # of these projectors
    reader: Callable[[str], StreamReader]
    fresh: Callable[[], dict[str, Projection]]  # projections that are nobody's, for a rebuild

    @property
    def ledgers(self) -> list[str]:
        """Every ledger that figures are made of."""
        return sorted({ledger for one in self.projectors.values() for ledger in one.projection.ledgers})

    @property
    def epochs(self) -> dict[str, int]:
        """Ledger -> epoch of what has been folded of it."""
        return {ledger: epoch for one in self.projectors.values() for ledger, epoch in one.epochs.items()}

    async def wait_for(self, projections: Sequence[str], at_least: dict[str, int]) -> None:
        """Wait until the projections hold these positions; Refusal `position_beyond_head` for what does not exist.

        What was just written is here in a moment; only what is not is asked of its owner.
        """
        try:
            await live.wait_for(self.db, projections, at_least, SOON, self.progress)
        except Unavailable:
            await self._refuse_beyond_head(at_least)
            await live.wait_for(self.db, projections, at_least, progress=self.progress)

    async def _refuse_beyond_head(self, at_least: dict[str, int]) -> None:
        wanted = {ledger: number for ledger, number in at_least.items() if ledger in self.ledgers}
        ahead = [name for name, n in wanted.items() if n > self._heard_of(name)]
        heads = await self.heads.of(ahead) if ahead else {}
        for ledger in ahead:
            if wanted[ledger] > max(heads[ledger], self._heard_of(ledger)):
                raise Refusal(
                    "position_beyond_head",
                    f"{ledger} ends at {heads[ledger]}, asked for {wanted[ledger]}",
                    field="at_least",
                    remedy="Ask for a position that an answer of this system has named.",
                )

    def _heard_of(self, ledger: str) -> int:
        return max((one.heads.get(ledger, 0) for one in self.projectors.values()), default=0)


def kpi_of(request: Request) -> Kpi:
    """Return the running service of a request."""
    found: Kpi = request.app.state.kpi
    return found
