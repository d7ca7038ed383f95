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
from services.kernel.broker import read_message
from services.kernel.codec import Commit
from services.kernel.errors import Refusal
from services.kernel.guard import compare
from services.kernel.ledger import Ledger

log = logging.getLogger("opsledger.kernel")

CHUNK = 200


async def heal(ledger: Ledger, name: str, nc: Client, restore: Restore) -> int:
    """Read the commits that the database lost back from the stream; return how many.

    Refusal `nothing_to_heal` where ledger and stream fit, `ledger_forked` where they cannot be made to,
    `body_lost` where a lost commit travelled by reference, so that its body was only here.
    """
    comparison = await compare(ledger.db, nc, name)
    if comparison.verdict == "fork":
        raise Refusal("ledger_forked", str(comparison), status=409, remedy="Start a new epoch, or rebuild the stream.")
    if comparison.verdict != "database_lost_tail":
        return 0
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
    log.info("ledger_healed", extra={"ledger": name, "commits": healed})
    ledger.announce({name: comparison.stream})
    return healed


async def start_epoch(ledger: Ledger, name: str) -> int:
    """Declare the database's course the right one from its head on: a new stream will be filled; returns the epoch."""
    async with ledger.db.tx() as conn:
        epoch = await conn.fetchval("UPDATE ledger_head SET epoch = epoch + 1 WHERE ledger = $1 RETURNING epoch", name)
    ledger.doubt()
    log.warning("epoch_started", extra={"ledger": name, "epoch": epoch})
    return int(epoch)


async def rebuild_stream(ledger: Ledger, name: str, nc: Client) -> None:
    """Drop the ledger's stream; the relay makes it again and fills it from the ledger."""
    async with ledger.db.conn() as conn:
        epoch = int(await conn.fetchval("SELECT epoch FROM ledger_head WHERE ledger = $1", name))
    try:
        await nc.jetstream().delete_stream(stream_name(name, epoch))
    except NotFoundError:
        log.info("stream_already_gone", extra={"ledger": name})
    ledger.doubt()
