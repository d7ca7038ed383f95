"""Stream and subject names on NATS, and the names of ledger positions.

A ledger is named after its context; a sharded one carries its shard number: "org", "kpi", "tickets", "activity.0".
That name is what positions use ("org:17,activity.0:17").
"""

from __future__ import annotations

import re

PUBLISHER_PATTERN = re.compile(r"^[a-z0-9-]{1,40}$")

INBOX_CONTEXTS = ("activity", "tickets")  # that take events of publishers; an inbox stream each
INBOX_STREAM = "INBOX"  # activity's
INBOX_SUBJECTS = "inbox.*.activity"
RECEIPTS_STREAM = "RECEIPTS"
RECEIPTS_SUBJECTS = "receipts.>"


def stream_name(ledger: str, epoch: int = 1) -> str:
    """Return the JetStream stream of a ledger: "activity.0" -> "ACTIVITY_0"; later epochs add "_E2"."""
    base = ledger.upper().replace(".", "_")
    return base if epoch == 1 else f"{base}_E{epoch}"


def stream_subject(ledger: str, epoch: int = 1) -> str:
    """Return the only subject of a ledger's stream: "ledger.activity.0.e1"."""
    return f"ledger.{ledger}.e{epoch}"


def inbox_stream(context: str) -> str:
    """Return the stream of a context's inbox: its retention and who may read it are that context's own."""
    return INBOX_STREAM if context == "activity" else f"{INBOX_STREAM}_{context.upper()}"


def intake_subject(publisher: str, context: str) -> str:
    """Return the request subject that is answered after the commit."""
    return f"intake.{publisher}.{context}"


def inbox_subject(publisher: str, context: str) -> str:
    """Return the JetStream inbox subject; receipts follow on `receipt_subject`."""
    return f"inbox.{publisher}.{context}"


def receipt_subject(publisher: str, context: str) -> str:
    """Return the subject on which a publisher finds the outcome of what it put into its inbox."""
    return f"receipts.{publisher}.{context}"
