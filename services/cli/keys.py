"""`keys export | import`: the customers' keys, backed up apart from the ledgers and kept only shortly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from deploy.local.instance import Instance
from deploy.local.process import RunnerError
from services.cli.workshop import as_runner_error, workshop
from services.kernel.clock import now
from services.kernel.errors import Refusal
from services.tickets.erasing import replay_erasures
from services.tickets.key_backup import KEPT, KeyFile, bring_back, take_keys

app = typer.Typer(
    help="Customers' keys: without them, what customers said cannot be read; with a copy of them, it can for ever.",
    no_args_is_help=True,
)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write; keep it apart from the ledgers' backup.")],
) -> None:
    """Write every customer's key into a file that only its owner may read."""
    taken = asyncio.run(_take())
    beside = file.with_name(f"{file.name}.part")
    beside.touch(mode=0o600)
    beside.write_text(taken.model_dump_json())
    beside.replace(file)
    print(f"{file}: {len(taken.keys)} keys; it is refused after {KEPT.days} days: delete it before")


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="A file that `keys export` wrote")]) -> None:
    """Bring keys back after the ledgers (`opsledger ledger import`); those of erased customers stay gone."""
    try:
        found = KeyFile.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunnerError("not_a_key_file", f"{file}: {error}", "name a file that `keys export` wrote") from error
    try:
        print(f"{asyncio.run(_bring_back(found))} keys are back")
    except Refusal as error:
        raise as_runner_error(error) from error
    print("then let the read models read again: opsledger rebuild --accept tickets/board, and tickets/care")


async def _take() -> KeyFile:
    async with workshop(Instance.from_environment(), "tickets") as shop, shop.db.conn() as conn:
        return await take_keys(conn, now())


async def _bring_back(file: KeyFile) -> int:
    async with workshop(Instance.from_environment(), "tickets") as shop:
        async with shop.db.tx() as conn:
            count = await bring_back(conn, file, now())
        return count - len(await replay_erasures(shop.db, shop.nc, "tickets"))
