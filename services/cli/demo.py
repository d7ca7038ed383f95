"""`demo`: some forty people, a month of their activity and tickets, through the public interfaces only."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from contracts.activity import IntakeResult
from contracts.client.batches import PublishError
from contracts.client.over_http import HttpPublisher, TokenExchange
from deploy.handbook.demo import Demonstration, demonstration
from deploy.local.instance import PROJECT, Instance, load_credentials
from deploy.local.process import RunnerError
from services.cli.access import Access, Grant
from services.cli.demo_tickets import load_desk, planned
from services.cli.org import import_organisation, issue_token
from services.cli.policy import apply_policy, read_policy
from services.kernel.clock import now

BATCH = 200  # small enough that the bar moves
AHEAD = 3  # publishers at work at once
POLICY = PROJECT / "deploy" / "handbook" / "policy.yaml"
Event = dict[str, Any]


def demo(
    seed: Annotated[int, typer.Option(help="Another number, other people's luck.")] = 20,
) -> None:
    """Load the demonstration into the running system. Run again, it adds what has happened since, and nothing twice."""
    instance = Instance.from_environment()
    made = demonstration(now(), seed, load_credentials(instance).timezone)
    with Access(instance, "director") as director, Access(instance, "operator") as operator:
        content = json.dumps(made.organisation, ensure_ascii=False, default=str).encode()
        organisation = import_organisation(director, content, "application/json", reason="demonstration")
        in_force = apply_policy(director, read_policy(POLICY))
        tokens = _tokens(instance, operator, [entry["publisher"] for entry in made.organisation["publishers"]])
    print(f"organisation: {len(made.organisation['people'])} people, {organisation['events']} facts are new")
    print(f"policy: the handbook's, {'put in force' if in_force else 'stood already'}")
    with _bar() as progress:
        task = progress.add_task(f"{made.since} .. {made.today}", total=len(made.events))
        try:
            tally = asyncio.run(_publish(instance, made, tokens, lambda sent: progress.advance(task, sent)))
        except* PublishError as group:
            raise _refusal(group) from group
    print(f"activities: {'  '.join(f'{outcome} {count}' for outcome, count in sorted(tally.items()))}")
    print("  held, rejected and duplicate ones are meant to be there")
    _load_tickets(instance, made, seed)
    _say_where(instance)


def _load_tickets(instance: Instance, made: Demonstration, seed: int) -> None:
    plan = planned(instance, now(), seed)
    with _bar() as progress:
        task = progress.add_task("tickets", total=len(plan.tickets))
        load_desk(instance, plan, made.since, lambda: progress.advance(task))
    print(f"tickets: {len(plan.tickets)} of {len(plan.customers)} customers")


def _tokens(instance: Instance, operator: Access, publishers: list[str]) -> dict[str, str]:
    """Return a token of each publisher. Those of the last run are kept beside the instance's secrets."""
    kept = instance.home / "demo-publishers.json"
    try:
        tokens: dict[str, str] = json.loads(kept.read_text())
    except (FileNotFoundError, ValueError):
        tokens = {}
    for publisher in publishers:
        grant: Grant = {"grant": "publisher", "publisher": publisher, "token": tokens.get(publisher, "")}
        if not operator.accepts(grant):
            issued = issue_token(operator, publisher, rotate=False)
            tokens[publisher] = issued or issue_token(operator, publisher, rotate=True) or ""
    kept.touch(mode=0o600)
    kept.write_text(json.dumps(tokens))
    return tokens


async def _publish(
    instance: Instance, made: Demonstration, tokens: dict[str, str], advance: Callable[[int], None]
) -> Counter[str]:
    """Send each publisher's events in its own name and in their order, some publishers at once."""
    tally: Counter[str] = Counter()
    slots = asyncio.Semaphore(AHEAD)

    async def one(client: httpx.AsyncClient, publisher: str, events: list[Event]) -> None:
        grant: dict[str, object] = {"grant": "publisher", "publisher": publisher, "token": tokens[publisher]}
        bearer = TokenExchange(client, instance.url("org"), grant)
        sender = HttpPublisher(instance.url("activity"), bearer, client=client, batch=BATCH)
        async with slots:
            for first in range(0, len(events), BATCH):
                results: list[IntakeResult] = await sender.send(events[first : first + BATCH])
                tally.update(result.outcome for result in results)
                advance(len(results))

    ordered = sorted(made.events, key=lambda event: str(event["source"]))  # stable: each source keeps its order
    async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as group:
        for publisher, events in groupby(ordered, key=lambda event: str(event["source"])):
            group.create_task(one(client, publisher, list(events)))
    return tally


def _refusal(group: BaseExceptionGroup[PublishError]) -> RunnerError:
    """Return the first publisher's trouble as what the terminal shows."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    code = first.code if isinstance(first, PublishError) else "unreachable"
    return RunnerError(code, str(first), "opsledger status; then opsledger demo again")


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _say_where(instance: Instance) -> None:
    kpi, tickets = instance.url("kpi"), instance.url("tickets")
    print("look at it:")
    print(f"  {instance.url('portal')}  front page, live status")
    print(f"  {kpi}/docs  attainments, trends, explanations")
    print(f"  {tickets}/docs  tickets, return visits, complaint statistics")
    print('  T=$(.venv/bin/opsledger token --role director); curl -H "Authorization: Bearer $T" \\')
    print(f"    '{kpi}/v1/attainments?period={now():%Y-%m}&scope=unit&id=commercial'")
