"""`publish`: sends a file of CloudEvents, one a line, and can be stopped and started again at any moment."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from contracts.activity import IntakeResult
from contracts.client.batches import PublishError
from contracts.client.over_http import HttpPublisher, TokenExchange
from contracts.client.over_nats import NatsPublisher
from deploy.local.instance import Instance
from deploy.local.process import RunnerError
from services.cli.lines import Journal, pieces
from services.cli.transfer import Send, transfer

AHEAD = 4  # pieces under way at once
OUTCOMES = ("recorded", "duplicate", "held", "rejected")


class Way(StrEnum):
    """How events travel: HTTP or NATS request (answered after the commit), or the durable inbox (receipts follow)."""

    http = "http"
    nats = "nats"
    inbox = "inbox"


@dataclass(frozen=True)
class Target:
    """Where to publish, how, and as whom."""

    way: Way
    org_url: str
    activity_url: str
    nats_url: str
    publisher: str
    token: str


def publish(
    file: Annotated[str, typer.Argument(help="A file of CloudEvents, one JSON object a line; - is standard input.")],
    publisher: Annotated[str, typer.Option(envvar="OPSLEDGER_PUBLISHER", help="The publisher's name.")],
    token: Annotated[
        str, typer.Option(envvar="OPSLEDGER_PUBLISHER_TOKEN", help="Its token; better in the environment.")
    ],
    way: Annotated[Way, typer.Option("--over", help="http, nats (request) or inbox (NATS, with receipts).")] = Way.http,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Events a request.")] = 500,
    restart: Annotated[bool, typer.Option("--restart", help="Begin with the first line again; counts once.")] = False,
    org_url: Annotated[str | None, typer.Option(help="Default: this machine's instance.")] = None,
    activity_url: Annotated[str | None, typer.Option(help="Default: this machine's instance.")] = None,
    nats_url: Annotated[str | None, typer.Option(help="Default: this machine's instance.")] = None,
) -> None:
    """Publish events; go on where an interrupted run ended. Exit status 1 when any line is rejected.

    FILE.progress.json notes how far it got; FILE.rejected.jsonl holds the rejected lines with their reasons.
    """
    instance = Instance.from_environment()
    target = Target(
        way=way,
        org_url=org_url or instance.url("org"),
        activity_url=activity_url or instance.url("activity"),
        nats_url=nats_url or f"nats://{instance.host}:{instance.port('nats')}",
        publisher=publisher,
        token=token,
    )
    journal = Journal(None if file == "-" else Path(file))
    if restart:
        journal.restart()
    with _opened(file) as stream:
        reasons = asyncio.run(_run(journal, stream, target, batch))
    _conclude(journal, reasons)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below; only opening may be refused here
    except OSError as error:
        raise RunnerError("unreadable", str(error), "name a file of JSON lines, or -") from error
    with stream:
        yield stream


async def _run(journal: Journal, stream: BinaryIO, target: Target, batch: int) -> list[str]:
    offset = journal.resume()
    if offset:
        stream.seek(offset)
    total = journal.file.stat().st_size if journal.file else None
    with _bar() as bar:
        task = bar.add_task(target.way.value, total=total, completed=offset, tally=_tally(journal))
        try:
            async with sender(target, batch) as send:
                return await transfer(
                    journal,
                    pieces(stream, batch, offset, journal.progress.lines),
                    send,
                    ahead=1 if target.way is Way.inbox else AHEAD,  # a publisher's receipts have one reader
                    watch=lambda now: bar.update(task, completed=now.progress.offset, tally=_tally(now)),
                )
        except PublishError as error:
            raise RunnerError(
                error.code, f"after line {journal.progress.lines}: {error.detail}", "mend that, run the command again"
            ) from error


@asynccontextmanager
async def sender(target: Target, batch: int) -> AsyncIterator[Send]:
    """Yield a function that sends events and returns an outcome for each."""
    if target.way is Way.http:
        grant: dict[str, object] = {"grant": "publisher", "publisher": target.publisher, "token": target.token}
        async with httpx.AsyncClient(timeout=60) as client:
            bearer = TokenExchange(client, target.org_url, grant)
            yield HttpPublisher(target.activity_url, bearer, client=client, batch=batch).send
        return
    async with NatsPublisher(target.nats_url, target.publisher, target.token, batch=batch) as publisher:

        async def into_inbox(events: Sequence[dict[str, Any]]) -> list[IntakeResult]:
            return [result for receipt in await publisher.deliver(events) for result in receipt.results]

        yield into_inbox if target.way is Way.inbox else publisher.request


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[tally]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _tally(journal: Journal) -> str:
    counts = journal.progress.tally
    return "  ".join(f"{name} {counts[name]}" for name in OUTCOMES if counts.get(name)) or "nothing yet"


def _conclude(journal: Journal, reasons: list[str]) -> None:
    print(f"{journal.progress.lines} lines: {_tally(journal)}")
    for reason in reasons:
        print(f"  {reason}")
    if journal.progress.tally.get("held"):
        print("  held events are recorded by themselves when org knows their person or account")
    if journal.progress.tally.get("rejected"):
        print(f"  rejected lines: {journal.rejected}")
        raise typer.Exit(1)
