"""Compares a ledger with its stream before anything may be appended, and says what is wrong if they do not fit.

Stream behind: the broker lost something, the relay fills it. Stream ahead with a fitting chain: the database lost its
tail, writes are refused until `opsledger ledger heal`. Hashes differ: refused too, loudly.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from nats.aio.client import Client

from contracts.envelope import genesis_hash
from services.kernel.broker import last_sequence, read_message
from services.kernel.database import Database, fetch_one
from services.kernel.errors import Unavailable

log = logging.getLogger("opsledger.kernel")

Verdict = Literal["fits", "behind", "database_lost_tail", "fork"]


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

    The stream is asked first: whatever it holds was in the ledger before, so a head that is read afterwards and stands
    lower is a loss, and never a commit that another process made meanwhile.
    """
    async with db.conn() as conn:
        epoch = int(await conn.fetchval("SELECT epoch FROM ledger_head WHERE ledger = $1", ledger))
    last = await last_sequence(nc, ledger, epoch)
    async with db.conn() as conn:
        head = await fetch_one(conn, "SELECT * FROM ledger_head WHERE ledger = $1", ledger)
    if head["epoch"] != epoch:
        return await compare(db, nc, ledger)
    number = int(head["number"])
    if not last:
        return Comparison(ledger, epoch, "behind" if number else "fits", number, 0)
    if last > number:
        following, _ = await read_message(nc, ledger, epoch, number + 1)
        expected = head["hash"] if number else genesis_hash(head["ledger_id"])
        fits = following is not None and following.previous == expected and following.ledger_id == head["ledger_id"]
        return Comparison(ledger, epoch, "database_lost_tail" if fits else "fork", number, last)
    message, _ = await read_message(nc, ledger, epoch, last)
    async with db.conn() as conn:
        own = await conn.fetchval("SELECT hash FROM ledger_commit WHERE ledger = $1 AND number = $2", ledger, last)
    if message is None or message.hash != own:
        return Comparison(ledger, epoch, "fork", number, last)
    return Comparison(ledger, epoch, "fits" if last == number else "behind", number, last)
