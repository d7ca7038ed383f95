"""Checks that nothing differs: hash chains, streams against ledgers, read models against a fold from the beginning.

Reads only; what is folded anew is dropped again. Every finding is a sentence that names a position or a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nats.aio.client import Client

from contracts.envelope import genesis_hash
from services.kernel.archive import read_commits
from services.kernel.broker import current_epoch, last_sequence, read_message, stream_state
from services.kernel.clock import monotonic
from services.kernel.codec import Commit
from services.kernel.database import Database
from services.kernel.reader import Fetch, StreamReader

PAGE = 500
SETTLE_SECONDS = 10.0  # how long a stream may take to catch up with the head that was read
SHOWN = 20  # findings of one check that are listed
Step = Callable[[int, int], None]  # (done, of)


@dataclass
class Check:
    """One thing that was checked, how much of it, and what was found wrong."""

    subject: str
    amount: str = ""
    findings: list[str] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list, repr=False)  # of a ledger's commits, in order

    def found(self, sentence: str) -> None:
        """Note what is wrong, up to a limit that keeps the report readable."""
        if len(self.findings) < SHOWN:
            self.findings.append(sentence)
        elif len(self.findings) == SHOWN:
            self.findings.append("... and more")


async def verify_chain(db: Database, ledger: str, step: Step) -> Check:
    """Walk a ledger from its first commit to its head: numbers dense, every hash right, each naming the one before."""
    check = Check(f"ledger {ledger}")
    async with db.conn() as conn:
        head = await conn.fetchrow("SELECT number, hash, ledger_id FROM ledger_head WHERE ledger = $1", ledger)
    if head is None:
        check.found("has no head")
        return check
    previous, number = genesis_hash(head["ledger_id"]), 0
    while number < head["number"]:
        commits = await read_commits(db, ledger, number, PAGE)
        if not commits:
            check.found(f"{ledger}:{number + 1} is missing")
            break
        for commit in commits[: head["number"] - number]:
            number += 1
            _check_link(check, commit, number, previous)
            previous = commit.hash
            number = commit.number
            check.hashes.append(commit.hash)
        step(number, head["number"])
    if not check.findings and previous != head["hash"]:
        check.found(f"{ledger}:{number} is not the commit that the head names")
    check.amount = f"{number} commits"
    return check


def _check_link(check: Check, commit: Commit, number: int, previous: bytes) -> None:
    if commit.number != number:
        check.found(f"{commit.ledger}:{number} is missing")
    elif commit.previous != previous:
        check.found(f"{commit.position} does not name the commit before it")
    if not commit.is_intact():
        check.found(f"{commit.position} was altered: its hash is not that of its content")


async def verify_stream(nc: Client, db: Database, ledger: str, hashes: list[bytes], step: Step) -> Check:
    """Compare each message of a ledger's stream with the commit of its number, up to the last of `hashes`."""
    check = Check(f"stream of {ledger}")
    epoch = await current_epoch(nc, ledger)
    if epoch is None:
        if hashes:
            check.found("does not exist")
        return check

    reader = StreamReader(nc, ledger, _gap_filler(nc, db, epoch, check))
    await reader.seek(0)
    done, deadline = 0, monotonic() + SETTLE_SECONDS
    try:
        while done < len(hashes) and monotonic() < deadline:
            for commit in await reader.take(PAGE, 1.0):
                done = commit.number
                deadline = monotonic() + SETTLE_SECONDS
                if done <= len(hashes) and commit.hash != hashes[done - 1]:
                    check.found(f"{commit.position} is another commit than in the ledger")
            step(done, len(hashes))
    finally:
        await reader.close()
    if done < len(hashes):
        check.found(f"ends at {await last_sequence(nc, ledger, epoch) or 0}, the ledger at {len(hashes)}")
    check.amount = f"{min(done, len(hashes))} messages"
    return check


def _gap_filler(nc: Client, db: Database, epoch: int, check: Check) -> Fetch:
    """Return what the reader calls where the stream has no commit to give: rightly so only if it goes by
    reference, or lies before where the stream begins."""

    async def from_ledger(ledger: str, after: int, limit: int) -> list[Commit]:
        commits = await read_commits(db, ledger, after, limit)
        state = await stream_state(nc, ledger, epoch)
        begins = state.first_seq if state is not None else 1
        for commit in commits:
            if commit.number < begins:
                continue
            there, by_reference = await read_message(nc, ledger, epoch, commit.number)
            if there is None:
                check.found(f"nothing, or no commit, stands at {commit.position}")
            elif there.hash != commit.hash:
                check.found(f"{commit.position} is another commit than in the ledger")
            elif not by_reference:
                check.found(f"{commit.position} was passed over")
        return commits

    return from_ledger
