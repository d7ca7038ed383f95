"""`stream rebuild | drop-old`: makes a ledger's stream anew; removes those that nobody reads any more."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.local.instance import Instance
from deploy.local.process import RunnerError
from services.cli.bars import bar, stepper
from services.cli.workshop import Workshop, as_runner_error, deciding_services, workshop
from services.kernel.clock import monotonic
from services.kernel.errors import Refusal
from services.kernel.guard import compare
from services.kernel.heal import drop_old_streams, rebuild_stream

PATIENCE = 30.0  # seconds without a further commit
EVERY = 0.2  # seconds between looks

LedgerName = Annotated[str, typer.Argument(help="org, kpi, activity.0, ...")]

app = typer.Typer(help="The ledgers' streams on NATS.", no_args_is_help=True)


@app.callback()
def streams() -> None:
    """The streams are a cache of the ledgers: what is lost there is filled again."""


@app.command("rebuild")
def rebuild(
    ledger: LedgerName,
    first_seq: Annotated[int, typer.Option("--first-seq", help="Begin with this commit; readers ask the owner.")] = 1,
) -> None:
    """Drop the stream of a ledger; its service makes it again and fills it from the ledger, with the same numbers."""
    count = asyncio.run(_rebuild(Instance.from_environment(), _owner(ledger), ledger, first_seq))
    since = f" from {first_seq} on" if first_seq > 1 else ""
    print(f"{ledger}: the stream was dropped and filled again with {count} commits{since}")


@app.command("drop-old")
def drop_old(ledger: LedgerName) -> None:
    """Delete the streams of a ledger's earlier epochs, as soon as the one in force holds the whole ledger."""
    names = asyncio.run(_drop_old(Instance.from_environment(), _owner(ledger), ledger))
    print(f"{ledger}: {', '.join(names)} deleted" if names else f"{ledger}: there is no stream of an earlier epoch")


def _owner(ledger: str) -> str:
    service = ledger.partition(".")[0]
    if service not in deciding_services():
        raise RunnerError("unknown_ledger", f"no service keeps a ledger {ledger}", "opsledger status")
    return service


async def _drop_old(instance: Instance, service: str, ledger: str) -> list[str]:
    async with workshop(instance, service) as shop:
        try:
            return await drop_old_streams(shop.ledger, _known(shop, ledger), shop.nc)
        except Refusal as error:
            raise as_runner_error(error) from error


def _known(shop: Workshop, ledger: str) -> str:
    if ledger not in shop.ledger.names:
        raise RunnerError("unknown_ledger", f"{shop.service} keeps {', '.join(shop.ledger.names)}", "name one of them")
    return ledger


async def _rebuild(instance: Instance, service: str, ledger: str, first: int) -> int:
    """Drop the stream and wait until the service's relay has filled it; return the number of its commits."""
    async with workshop(instance, service) as shop:
        try:
            await rebuild_stream(shop.ledger, _known(shop, ledger), shop.nc, first)
        except Refusal as error:
            raise as_runner_error(error) from error
        deadline, last = monotonic() + PATIENCE, 0
        with bar() as progress:
            step = stepper(progress, ledger)
            while monotonic() < deadline:
                found = await compare(shop.db, shop.nc, ledger)
                if found.verdict == "fits":
                    return found.stream - first + 1
                if found.stream > last:
                    last, deadline = found.stream, monotonic() + PATIENCE
                step(found.stream, found.head)
                await asyncio.sleep(EVERY)
    raise RunnerError("not_filled", f"the stream of {ledger} stays at {last}", f"opsledger logs {service}")
