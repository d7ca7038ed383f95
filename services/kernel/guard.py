"""Compares a ledger with its stream before anything may be appended, and says what is wrong if they do not fit.

Stream behind: the broker lost something, the relay fills it. Stream ahead with a fitting chain: the database lost its
tail, or all it had, and writes are refused until `opsledger ledger heal`. Hashes differ: refused too, loudly.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from asyncpg import Record
from nats.aio.client import Client

from services.kernel.broker import current_epoch, last_sequence, read_message, stream_state
from services.kernel.database import Database, fetch_one
from services.kernel.errors import Unavailable

log = logging.getLogger("opsledger.kernel")

Verdict = Literal["fits", "behind", "database_lost_tail", "database_lost_whole", "fork"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where the ledger and its stream end, and whether the one continues the other."""

    ledger: str
    epoch: int
    verdict: Verdict
    head: int
    stream: int

    def refusal(self) -> Unavailable | None:
        """The refusal that appends must get, None where the ledger may be written."""
        if self.verdict == "database_lost_tail":
            return Unavailable(
                "database_lost_tail",
                f"{self.ledger}: the stream stands at {self.stream}, the database at {self.head}",
                remedy="Run `opsledger ledger heal`: it reads the missing commits back from the stream.",
            )
        if self.verdict == "database_lost_whole":
            return Unavailable(
                "database_lost_whole",
                f"{self.ledger}: the database holds no commit, the stream {self.stream}",
                remedy="If the stream is this ledger's own, run `opsledger ledger heal`: it reads all commits back.",
            )
        if self.verdict == "fork":
            return Unavailable(
                "ledger_forked",
                f"{self.ledger}: the stream holds other commits than the database (epoch {self.epoch})",
                remedy="Check which one is right; `opsledger ledger epoch` starts a new epoch from the database, "
                "`opsledger stream rebuild` recreates the stream from it.",
            )
        return None


async def compare(db: Database, nc: Client, ledger: str) -> Comparison:
    """Compare the last message of the stream with the commit of that number, or the head with the message after it.

    `epoch` of the answer is the broker's where that is a later one: the database is from before it, and must not go on
    in a stream that nobody reads any more. The stream is asked first: whatever it holds was in the ledger before, so a
    head that is read afterwards and stands lower is a loss, and never a commit that another process made meanwhile.
    """
    async with db.conn() as conn:
        own_epoch = int(await conn.fetchval("SELECT epoch FROM ledger_head WHERE ledger = $1", ledger))
    epoch = max(own_epoch, await current_epoch(nc, ledger) or 0)
    last = await last_sequence(nc, ledger, epoch)
    async with db.conn() as conn:
        head = await fetch_one(conn, "SELECT * FROM ledger_head WHERE ledger = $1", ledger)
    if head["epoch"] != own_epoch:
        return await compare(db, nc, ledger)
    number = int(head["number"])
    if not last:
        return Comparison(ledger, epoch, "behind" if number else "fits", number, 0)
    if last > number:
        return Comparison(ledger, epoch, await _ahead(nc, epoch, head), number, last)
    message, _ = await read_message(nc, ledger, epoch, last)
    if message is None and own_epoch == epoch and await _is_empty(nc, ledger, epoch):
        return Comparison(ledger, epoch, "fits" if last == number else "behind", number, last)
    async with db.conn() as conn:
        own = await conn.fetchval("SELECT hash FROM ledger_commit WHERE ledger = $1 AND number = $2", ledger, last)
    if message is None or message.hash != own:
        return Comparison(ledger, epoch, "fork", number, last)
    if own_epoch != epoch:
        return Comparison(ledger, epoch, "database_lost_tail" if last == number else "fork", number, last)
    return Comparison(ledger, epoch, "fits" if last == number else "behind", number, last)


async def _ahead(nc: Client, epoch: int, head: Record) -> Verdict:
    """Judge a stream that goes on after the database's head."""
    ledger, number = head["ledger"], head["number"]
    following, _ = await read_message(nc, ledger, epoch, number + 1)
    if following is not None and following.ledger_id == head["ledger_id"]:
        return "database_lost_tail" if following.previous == head["hash"] else "fork"
    if number:
        return "fork"
    if following is None:  # nothing, or a stream that begins later: which ledger's, only its last message says
        following, _ = await read_message(nc, ledger, epoch, await last_sequence(nc, ledger, epoch) or 0)
    return "database_lost_whole" if following is not None and following.ledger == ledger else "fork"


async def _is_empty(nc: Client, ledger: str, epoch: int) -> bool:
    state = await stream_state(nc, ledger, epoch)
    return state is not None and state.messages == 0
