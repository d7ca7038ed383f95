"""`verify`: walks every chain, compares stream with ledger and every read model with a fold from the beginning."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.instance import Instance
from services.cli.verification import Check, Step, verify_chain, verify_stream
from services.cli.workshop import Workshop, deciding_services, workshop
from services.kernel.projection import Projection
from services.kernel.rebuild import rebuild


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ledgers_only: Annotated[bool, typer.Option("--ledgers-only", help="Leave out the read models.")] = False,
) -> None:
    """Say what differs, if anything: chains, streams, figures. Exit status 1 when something does. Changes nothing."""
    checks = asyncio.run(_verify(Instance.from_environment(), figures=not ledgers_only))
    if as_json:
        rows = [{key: value for key, value in asdict(check).items() if key != "hashes"} for check in checks]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for check in checks:
            print(f"{'differs' if check.findings else 'ok     '}  {check.subject}  {check.amount}")
            for finding in check.findings:
                print(f"           {finding}")
    raise typer.Exit(1 if any(check.findings for check in checks) else 0)


async def _verify(instance: Instance, *, figures: bool) -> list[Check]:
    checks: list[Check] = []
    with bar() as progress:
        for service in deciding_services():
            async with workshop(instance, service) as shop:
                for ledger in shop.ledger.names:
                    chain = await verify_chain(shop.db, ledger, stepper(progress, f"chain of {ledger}"))
                    step = stepper(progress, f"stream of {ledger}")
                    checks += [chain, await verify_stream(shop.nc, shop.db, ledger, chain.hashes, step)]
                    chain.hashes = []
                for projection in shop.projections.values() if figures else ():
                    checks.append(await _verify_figures(shop, projection, progress))
    return checks


async def _verify_figures(shop: Workshop, projection: Projection, progress: Progress) -> Check:
    """Fold a read model again beside the live one and compare the two at the same positions."""
    check = Check(f"{shop.service}: {projection.name}")
    step = stepper(progress, f"{shop.service}: {projection.name}")
    report = await rebuild(shop.db, projection, shop.reader, progress=step, switch=False)
    for difference in report.differences:
        check.found(f"{difference.table}, only {difference.side}: {difference.row}")
    check.amount = f"{report.commits} commits"
    return check


def bar() -> Progress:
    """Return a progress bar on standard error, gone when done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def stepper(progress: Progress, description: str) -> Step:
    """Return a function (done, of) that moves one line of the bar."""
    task = progress.add_task(description, total=None)
    return lambda done, of: progress.update(task, completed=done, total=of)
