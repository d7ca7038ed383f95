"""`rebuild`: folds a read model anew beside the live one, compares, switches. Reads go on meanwhile."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.local.instance import Instance
from services.cli.access import Access
from services.cli.bars import bar, stepper
from services.cli.projections import find, fold_anew
from services.cli.workshop import deciding_services


def rebuild(
    projection: Annotated[str, typer.Argument(help="Its name, or service/name where two services use one name.")],
    accept: Annotated[bool, typer.Option("--accept", help="Switch although rows differ (new code).")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Only say what differs; switch nothing.")] = False,
    back: Annotated[bool, typer.Option("--undo", help="Make the version before the live one live again.")] = False,
) -> None:
    """Rebuild a read model from its ledgers. Exit status 1 when rows differ and the switch was not accepted."""
    with Access(Instance.from_environment(), "operator") as access:
        service, name = find(access, deciding_services(), projection)
        if back:
            done = access.call("POST", service, f"/v1/projections/{name}/undo")["data"]
            print(f"{name}: version {done['live_version']} is live again")
            return
        with bar() as progress:
            step = stepper(progress, name)
            report = fold_anew(access, service, name, step, switch=not compare, accept=accept)
    differences = report["differences"]
    print(
        f"{name}: {report['commits']} commits in {report['seconds']:.1f} s, {len(differences) or 'no'} differences"
        f" at {report['positions'] or 'the beginning'}"
    )
    for difference in differences:
        print(f"  {difference['table']}, only {difference['side']}: {difference['row']}")
    switched = report["switched"]
    print(f"version {report['rebuilt'] if switched else report['live']} {'is' if switched else 'stays'} live")
    if differences and not switched:
        raise typer.Exit(1)
