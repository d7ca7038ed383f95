"""Healing: reading back what the database lost from the stream, starting a new epoch, recreating a stream.

For operators; every function can be repeated. Must not run while it is not asked to: automatic healing is the relay's,
and goes one way only, from the ledger to the stream.
"""

from __future__ import annotations

import logging

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.subjects import stream_name
from services.kernel.archive import Restore, append_foreign
from services.kernel.broker import current_epoch, epochs, read_message, stream_state
from services.kernel.codec import Commit
from services.kernel.database import fetch_one
from services.kernel.errors import Refusal
from services.kernel.guard import compare
from services.kernel.ledger import Ledger

log = logging.getLogger("opsledger.kernel")

CHUNK = 200


async def heal(ledger: Ledger, name: str, nc: Client, restore: Restore) -> int:
    """Read the commits that the database lost back from the stream; return how many.

    A database that lost all of them takes the stream's ledger id; one from before an epoch the epoch in force. Refusal
    `ledger_forked` where ledger and stream cannot be made to fit, `stream_begins_later` where it lacks the first
    commits lost, `body_lost` where a lost commit travelled by reference, so that its body was only here.
    """
    comparison = await compare(ledger.db, nc, name)
    if comparison.verdict == "fork":
        raise Refusal("ledger_forked", str(comparison), status=409, remedy="Start a new epoch, or rebuild the stream.")
    if comparison.verdict not in ("database_lost_tail", "database_lost_whole"):
        return 0
    state = await stream_state(nc, name, comparison.epoch)
    if state is not None and state.first_seq > comparison.head + 1:
        raise Refusal(
            "stream_begins_later",
            f"the stream of {name} begins at {state.first_seq}, the database ends at {comparison.head}",
            status=409,
            remedy="Bring the commits before back from a backup (`opsledger ledger import`), then heal.",
        )
    healed = 0
    chunk: list[Commit] = []
    for sequence in range(comparison.head + 1, comparison.stream + 1):
        commit, by_reference = await read_message(nc, name, comparison.epoch, sequence)
        if commit is None or by_reference:
            await append_foreign(ledger, name, chunk, restore)
            raise Refusal(
                "body_lost",
                f"{name}:{sequence} travelled by reference: its body was only in the database",
                status=409,
                remedy="Restore a backup that holds it, or start a new epoch from what there is.",
            )
        chunk.append(commit)
        if len(chunk) == CHUNK:
            healed += await append_foreign(ledger, name, chunk, restore)
            chunk = []
    healed += await append_foreign(ledger, name, chunk, restore)
    async with ledger.db.tx() as conn:
        await conn.execute(
            "UPDATE ledger_head SET epoch = greatest(epoch, $2) WHERE ledger = $1", name, comparison.epoch
        )
    log.info("ledger_healed", extra={"ledger": name, "commits": healed})
    ledger.announce({name: comparison.stream})
    return healed


async def start_epoch(ledger: Ledger, name: str, nc: Client | None = None) -> int:
    """Declare the database's course the right one from its head on: a new stream will be filled; returns the epoch.

    With a connection to the broker it is later than any that has a stream there: the database may be of before one.
    """
    there = await current_epoch(nc, name) if nc is not None else None
    async with ledger.db.tx() as conn:
        epoch = await conn.fetchval(
            "UPDATE ledger_head SET epoch = greatest(epoch, $2) + 1 WHERE ledger = $1 RETURNING epoch", name, there or 0
        )
    ledger.doubt()
    log.warning("epoch_started", extra={"ledger": name, "epoch": epoch})
    return int(epoch)


async def rebuild_stream(ledger: Ledger, name: str, nc: Client, first: int = 1) -> None:
    """Drop the ledger's stream; the relay makes it again and fills it from the ledger, from commit `first` on.

    Readers fetch the commits before from the owner. Refusal `first_out_of_range` beyond the next commit.
    """
    async with ledger.db.tx() as conn:
        head = await fetch_one(conn, "SELECT epoch, number FROM ledger_head WHERE ledger = $1 FOR UPDATE", name)
        if not 1 <= first <= head["number"] + 1:
            raise Refusal(
                "first_out_of_range",
                f"{name} ends at {head['number']}: its stream cannot begin at {first}",
                field="first_seq",
                remedy=f"Give a number from 1 to {head['number'] + 1}.",
            )
        await conn.execute("UPDATE ledger_head SET first_seq = $2 WHERE ledger = $1", name, first)
    epoch = int(head["epoch"])
    try:
        await nc.jetstream().delete_stream(stream_name(name, epoch))
    except NotFoundError:
        log.info("stream_already_gone", extra={"ledger": name})
    ledger.doubt()


async def drop_old_streams(ledger: Ledger, name: str, nc: Client) -> list[str]:
    """Delete the streams of the epochs before the one in force, which nobody reads any more; return their names.

    Refusal `epoch_not_filled` while the new epoch's stream does not hold the ledger yet.
    """
    comparison = await compare(ledger.db, nc, name)
    if comparison.verdict != "fits":
        raise Refusal(
            "epoch_not_filled",
            f"{name}: the stream of epoch {comparison.epoch} does not hold the ledger ({comparison.verdict})",
            status=409,
            remedy="Wait until it does (`opsledger status`), then ask again.",
        )
    dropped = [stream_name(name, epoch) for epoch in await epochs(nc, name) if epoch < comparison.epoch]
    for stream in dropped:
        await nc.jetstream().delete_stream(stream)
        log.info("old_stream_dropped", extra={"stream": stream})
    return dropped
