"""What the parts of the running service share: opened in the app's lifespan, handed to routes and handlers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from services.activity.catalogue import CatalogueStore
from services.activity.intake import Intake
from services.activity.known import KnownIdentities
from services.kernel.clock import now
from services.kernel.committer import GroupCommitter
from services.kernel.database import Database
from services.kernel.ledger import Ledger
from services.kernel.publishers import Publishers
from services.kernel.settings import Settings


@dataclass(slots=True)
class Service:
    """The open parts."""

    settings: Settings
    db: Database
    ledger: Ledger
    committer: GroupCommitter
    catalogue: CatalogueStore
    known: KnownIdentities
    publishers: Publishers
    intake: Intake
    lag: dict[str, Any] = field(default_factory=dict)

    def today(self) -> date:
        """The local day in the centre's zone."""
        return now().astimezone(self.settings.zone).date()
