"""Brings a backup's commits into databases that are up while the services are down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.instance import Credentials, Instance
from deploy.local.process import RunnerError
from services.cli.backup import read_backup
from services.cli.verification import Step
from services.cli.workshop import as_runner_error, deciding_services, ledger_of, restore_of, settings_of
from services.kernel.archive import append_foreign
from services.kernel.codec import Commit
from services.kernel.database import Database
from services.kernel.errors import Refusal
from services.kernel.ledger import Ledger
from services.kernel.migrate import migrate

CHUNK = 200  # commits a transaction


@dataclass
class _Databases:
    """The services' databases, opened and migrated; their ledgers with heads."""

    opened: list[Database] = field(default_factory=list)
    ledgers: dict[str, Ledger] = field(default_factory=dict)  # by ledger name

    async def open(self, instance: Instance, credentials: Credentials) -> None:
        for service in deciding_services():
            dsn = settings_of(instance, credentials, service).database_url
            await migrate(dsn, service)
            db = await Database.open(dsn, size=2)
            self.opened.append(db)
            ledger = ledger_of(db, service, credentials)
            await ledger.open()
            self.ledgers |= dict.fromkeys(ledger.names, ledger)

    async def append(self, commits: Sequence[Commit]) -> int:
        """Append commits of one ledger; return how many were new."""
        if not commits:
            return 0
        name = commits[0].ledger
        try:
            return await append_foreign(self.ledgers[name], name, commits, restore_of(name.partition(".")[0]))
        except Refusal as error:
            raise as_runner_error(error) from error


async def import_commits(
    instance: Instance, credentials: Credentials, file: Path, heads: dict[str, int], step: Step
) -> int:
    """Append a backup's commits; return how many were new. Raises RunnerError where they cannot stand here."""
    databases = _Databases()
    try:
        await databases.open(instance, credentials)
        strange = sorted(set(heads) - set(databases.ledgers))
        if strange:
            raise RunnerError(
                "ledgers_differ",
                f"this instance has no ledger {', '.join(strange)}",
                "make an instance with as many activity shards (OPSLEDGER_ACTIVITY_SHARDS) as the backup has",
            )
        added = 0
        chunk: list[Commit] = []
        for done, commit in enumerate(read_backup(file)):
            if chunk and (len(chunk) == CHUNK or chunk[0].ledger != commit.ledger):
                added += await databases.append(chunk)
                chunk = []
            chunk.append(commit)
            step(done, sum(heads.values()))
        return added + await databases.append(chunk)
    finally:
        for db in databases.opened:
            await db.close()
