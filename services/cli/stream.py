"""`stream rebuild`: recreates a ledger's stream that holds something foreign or shifted."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.local.instance import Instance
from deploy.local.process import RunnerError
from services.cli.bars import bar, stepper
from services.cli.workshop import deciding_services, workshop
from services.kernel.clock import monotonic
from services.kernel.guard import compare
from services.kernel.heal import rebuild_stream

PATIENCE = 30.0  # seconds without a further commit
EVERY = 0.2  # seconds between looks

app = typer.Typer(help="The ledgers' streams on NATS.", no_args_is_help=True)


@app.callback()
def streams() -> None:
    """The streams are a cache of the ledgers: what is lost there is filled again."""


@app.command("rebuild")
def rebuild(ledger: Annotated[str, typer.Argument(help="org, kpi, activity.0, ...")]) -> None:
    """Drop the stream of a ledger; its service makes it again and fills it from the ledger, with the same numbers."""
    service = ledger.partition(".")[0]
    if service not in deciding_services():
        raise RunnerError("unknown_ledger", f"no service keeps a ledger {ledger}", "opsledger status")
    count = asyncio.run(_rebuild(Instance.from_environment(), service, ledger))
    print(f"{ledger}: the stream was dropped and filled again with {count} commits")


async def _rebuild(instance: Instance, service: str, ledger: str) -> int:
    """Drop the stream and wait until the service's relay has filled it; return the number of its commits."""
    async with workshop(instance, service) as shop:
        if ledger not in shop.ledger.names:
            raise RunnerError("unknown_ledger", f"{service} keeps {', '.join(shop.ledger.names)}", "name one of them")
        await rebuild_stream(shop.ledger, ledger, shop.nc)
        deadline, last = monotonic() + PATIENCE, 0
        with bar() as progress:
            step = stepper(progress, ledger)
            while monotonic() < deadline:
                found = await compare(shop.db, shop.nc, ledger)
                if found.verdict == "fits":
                    return found.stream
                if found.stream > last:
                    last, deadline = found.stream, monotonic() + PATIENCE
                step(found.stream, found.head)
                await asyncio.sleep(EVERY)
    raise RunnerError("not_filled", f"the stream of {ledger} stays at {last}", f"opsledger logs {service}")
