"""`verify`: walks every chain, compares stream with ledger and every read model with a fold from the beginning."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from deploy.local.instance import Instance
from services.cli.access import Access
from services.cli.bars import bar, stepper
from services.cli.projections import fold_anew, projections
from services.cli.verification import Check, verify_chain, verify_stream
from services.cli.workshop import deciding_services, workshop


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ledgers_only: Annotated[bool, typer.Option("--ledgers-only", help="Leave out the read models.")] = False,
) -> None:
    """Say what differs, if anything: chains, streams, figures. Exit status 1 when something does. Changes nothing."""
    instance = Instance.from_environment()
    checks = asyncio.run(_verify_ledgers(instance))
    if not ledgers_only:
        checks += _verify_figures(instance)
    if as_json:
        rows = [{key: value for key, value in asdict(check).items() if key != "hashes"} for check in checks]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for check in checks:
            print(f"{'differs' if check.findings else 'ok     '}  {check.subject}  {check.amount}")
            for finding in check.findings:
                print(f"           {finding}")
    raise typer.Exit(1 if any(check.findings for check in checks) else 0)


async def _verify_ledgers(instance: Instance) -> list[Check]:
    checks: list[Check] = []
    with bar() as progress:
        for service in deciding_services():
            async with workshop(instance, service) as shop:
                for ledger in shop.ledger.names:
                    chain = await verify_chain(shop.db, ledger, stepper(progress, f"chain of {ledger}"))
                    step = stepper(progress, f"stream of {ledger}")
                    checks += [chain, await verify_stream(shop.nc, shop.db, ledger, chain.hashes, step)]
                    chain.hashes = []
    return checks


def _verify_figures(instance: Instance) -> list[Check]:
    """Have every read model folded again beside the live one and compared with it at the same positions."""
    checks: list[Check] = []
    with Access(instance, "operator") as access, bar() as progress:
        for service in deciding_services():
            for projection in projections(access, service):
                name = projection["name"]
                check = Check(f"read model {service}/{name}")
                report = fold_anew(
                    access, service, name, stepper(progress, f"{service}/{name}"), switch=False, accept=False
                )
                for difference in report["differences"]:
                    check.found(f"{difference['table']}, only {difference['side']}: {difference['row']}")
                for hold in projection["holds"]:
                    check.found(f"{hold['ledger']}:{hold['number']} is held: {hold['reason']}")
                check.amount = f"{report['commits']} commits"
                checks.append(check)
    return checks
