"""`ledger export | import | heal | epoch`: the commits as a portable file, and what to do when a part was lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import httpx
import typer

from contracts.client.over_http import TokenExchange
from deploy.local.instance import DECIDING, Instance, make_credentials
from deploy.local.process import RunnerError, running_pid
from deploy.local.provision import provisioning_sql
from deploy.local.supervisor import Supervisor
from services.cli.access import Access, instance_grant
from services.cli.backup import BackupWriter, heads_of, read_backup
from services.cli.bars import bar, stepper
from services.cli.workshop import as_runner_error, deciding_services, restore_of, workshop
from services.kernel import heal as healing
from services.kernel.archive import OwnerClient
from services.kernel.errors import Refusal

PAGE = 500

app = typer.Typer(
    help="Back up and bring back the ledgers; heal one whose database lost its tail, or all of it.",
    no_args_is_help=True,
)
LedgerName = Annotated[str, typer.Argument(help="org, kpi, activity.0, ...")]


@app.command("export")
def export(file: Annotated[Path, typer.Argument(help="Where to write, e.g. opsledger.jsonl.gz")]) -> None:
    """Write every commit of every ledger into one compressed file, while the system runs."""
    instance = Instance.from_environment()
    heads: dict[str, int] = {}
    with Access(instance, "auditor") as access:
        for service in deciding_services():
            heads |= access.call("GET", service, "/v1/ledger/head")["heads"]
    count = asyncio.run(_export(instance, file, heads))
    print(f"{file}: {count} commits of {', '.join(f'{name}:{number}' for name, number in sorted(heads.items()))}")
    print("credentials are in no ledger: after an import, publishers get new tokens and people new passwords")


async def _export(instance: Instance, file: Path, heads: dict[str, int]) -> int:
    count = 0
    async with httpx.AsyncClient(timeout=30) as client:
        tokens = TokenExchange(client, instance.url("org"), instance_grant(instance, "auditor"))
        owners = OwnerClient({name: instance.url(name) for name in DECIDING}, tokens)
        try:
            with bar() as progress, BackupWriter(file, heads) as backup:
                for ledger, head in sorted(heads.items()):
                    step, done = stepper(progress, ledger), 0
                    while done < head:
                        commits = (await owners.fetch(ledger, done, min(PAGE, head - done)))[: head - done]
                        if not commits:
                            raise RunnerError("ledger_incomplete", f"{ledger} ends at {done}", "opsledger verify")
                        for commit in commits:
                            backup.add(commit)
                        done, count = commits[-1].number, count + len(commits)
                        step(done, head)
        except OSError as error:
            raise RunnerError("unreachable", str(error), "opsledger status; then export again") from error
        finally:
            await owners.close()
    return count


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="A file that `ledger export` wrote.")]) -> None:
    """Bring the ledgers of a backup into an instance that has none of its own; the system must be down.

    Can be repeated: commits that stand already are compared and left. `opsledger up` fills streams and read models.
    """
    from services.cli.restoring import import_commits  # only here: it brings the migrations along

    instance = Instance.from_environment()
    if running_pid(instance.pid_file("supervisor")) is not None:
        raise RunnerError("running", f"the instance in {instance.home} is running", "opsledger down")
    heads = heads_of(file)
    with bar() as progress:
        step = stepper(progress, "checking the file")
        for number, _ in enumerate(read_backup(file), 1):
            step(number, sum(heads.values()))
    credentials, _ = make_credentials(instance)
    instance.logs.mkdir(mode=0o700, exist_ok=True)
    postgres = Supervisor(instance, credentials).postgres
    postgres.start()
    try:
        postgres.psql(provisioning_sql(credentials.databases))
        with bar() as progress:
            added = asyncio.run(import_commits(instance, credentials, file, heads, stepper(progress, "importing")))
    finally:
        postgres.stop()
    print(f"{added} commits are new, {sum(heads.values()) - added} stood already; next: opsledger up")


@app.command("heal")
def heal(ledger: Annotated[str | None, typer.Argument(help="One ledger; default: all.")] = None) -> None:
    """Read the commits that a database lost back from the stream. Changes nothing where ledger and stream fit.

    A database that was lost whole takes the stream's ledger for its own.
    """
    healed = asyncio.run(_heal(Instance.from_environment(), ledger))
    if not healed:
        raise RunnerError("unknown_ledger", f"no service keeps a ledger {ledger}", "opsledger status")
    for name, count in healed.items():
        print(f"{name}: {count} commits read back from the stream" if count else f"{name}: nothing was lost")
    if healed.get("org"):
        print("credentials are in no ledger: where they were lost too, publishers get new tokens, people new passwords")


async def _heal(instance: Instance, wanted: str | None) -> dict[str, int]:
    healed: dict[str, int] = {}
    for service in deciding_services():
        if wanted is not None and wanted.partition(".")[0] != service:
            continue
        async with workshop(instance, service) as shop:
            for name in shop.ledger.names:
                if wanted in (None, name):
                    try:
                        healed[name] = await healing.heal(shop.ledger, name, shop.nc, restore_of(service))
                    except Refusal as error:
                        raise as_runner_error(error) from error
    return healed


@app.command("epoch")
def epoch(ledger: LedgerName, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Declare the database's course the right one: what only the stream holds is given up, dependants are rebuilt."""
    if not yes:
        typer.confirm(f"Commits of {ledger} that only the stream holds will be given up. Go on?", abort=True)

    async def start(instance: Instance) -> int:
        async with workshop(instance, ledger.partition(".")[0]) as shop:
            return await healing.start_epoch(shop.ledger, ledger, shop.nc)

    if ledger.partition(".")[0] not in deciding_services():
        raise RunnerError("unknown_ledger", f"no service keeps a ledger {ledger}", "opsledger status")
    print(f"{ledger}: epoch {asyncio.run(start(Instance.from_environment()))}")
