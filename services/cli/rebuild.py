"""`rebuild`: folds a read model anew beside the live one, compares, switches. Reads go on meanwhile."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.local.instance import Instance
from deploy.local.process import RunnerError
from services.cli.verify import bar, stepper
from services.cli.workshop import deciding_services, projections_of, workshop
from services.kernel.errors import Refusal
from services.kernel.rebuild import Report, undo
from services.kernel.rebuild import rebuild as fold_anew


def rebuild(
    projection: Annotated[str, typer.Argument(help="Its name, or service/name where two services use one name.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Switch although rows differ (new code, new reading).")
    ] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Only say what differs; switch nothing.")] = False,
    back: Annotated[bool, typer.Option("--undo", help="Make the version before the live one live again.")] = False,
) -> None:
    """Rebuild a read model from its ledgers. Exit status 1 when rows differ and the switch was not accepted."""
    instance = Instance.from_environment()
    if back:
        print(f"{projection}: version {asyncio.run(_undo(instance, projection))} is live again")
        return
    report = asyncio.run(_rebuild(instance, projection, accept=accept, switch=not compare))
    print(
        f"{report.projection}: {report.commits} commits in {report.seconds:.1f} s, "
        f"{len(report.differences) or 'no'} differences at "
        + (",".join(f"{ledger}:{number}" for ledger, number in sorted(report.positions.items())) or "the beginning")
    )
    for difference in report.differences:
        print(f"  {difference.table}, only {difference.side}: {difference.row}")
    print(f"version {report.rebuilt} is live" if report.switched else f"version {report.live} stays live")
    if report.differences and not report.switched:
        raise typer.Exit(1)


async def _rebuild(instance: Instance, name: str, *, accept: bool, switch: bool) -> Report:
    async with workshop(instance, _service_of(instance, name)) as shop:
        projection = shop.projections[name.rpartition("/")[2]]
        with bar() as progress:
            step = stepper(progress, projection.name)
            try:
                return await fold_anew(shop.db, projection, shop.reader, progress=step, switch=switch, accept=accept)
            except Refusal as error:
                raise as_runner_error(error) from error


async def _undo(instance: Instance, name: str) -> int:
    async with workshop(instance, _service_of(instance, name)) as shop:
        try:
            return await undo(shop.db, name.rpartition("/")[2])
        except Refusal as error:
            raise as_runner_error(error) from error


def _service_of(instance: Instance, name: str) -> str:
    """Return the service that has a projection of this name. Raises RunnerError where none or several have."""
    wanted, _, short = name.rpartition("/")
    known: dict[str, list[str]] = {}
    for service in deciding_services():
        for projection in projections_of(instance, service):
            known.setdefault(projection, []).append(service)
    services = [service for service in known.get(short, []) if wanted in ("", service)]
    if len(services) == 1:
        return services[0]
    choices = sorted(f"{service}/{projection}" for projection, those in known.items() for service in those)
    code, detail = ("ambiguous", "several services have") if services else ("unknown_projection", "no service has")
    raise RunnerError(code, f"{detail} a projection {name}", f"one of: {', '.join(choices)}")


def as_runner_error(error: Refusal) -> RunnerError:
    """Return a kernel's refusal as what the terminal shows."""
    return RunnerError(error.code, error.detail, error.remedy or "opsledger status")
