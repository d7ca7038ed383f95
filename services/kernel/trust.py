"""The projection "trust": public keys and revocations from org's ledger, so that tokens are checked without org.

Writes the kernel's own tables (public.signing_key, public.revocation), which the Authenticator reads. Every write is
an upsert or delete to a stated end, so that a rebuild that runs beside the live version arrives at the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from contracts.org import PrincipalRevoked, SigningKeyPublished, SigningKeyRetired
from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection

_MODELS: dict[str, type[BaseModel]] = {
    model.event_type: model for model in (SigningKeyPublished, SigningKeyRetired, PrincipalRevoked)
}


class TrustProjection:
    """Feeds the kernel's tables of keys and revocations."""

    name = "trust"
    ledgers: tuple[str, ...] = ("org",)
    ordered = False

    async def create(self, conn: Connection) -> None:
        """Nothing: the tables are the kernel's."""

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        """Take over keys and revocations, in order."""
        for commit in commits:
            for event in commit.events():
                model = _MODELS.get(event.type)
                if model is not None:
                    await write_trust(conn, event.read(model))

    def subject_of(self, event: Envelope) -> str | None:
        return None

    def forget(self) -> None:
        """Nothing is cached."""


async def write_trust(conn: Connection, event: BaseModel) -> None:
    """Write one event into the kernel's tables; org itself calls this inline."""
    if isinstance(event, SigningKeyPublished):
        await conn.execute(
            "INSERT INTO public.signing_key (key_id, jwk, not_after) VALUES ($1, $2, $3)"
            " ON CONFLICT (key_id) DO UPDATE SET jwk = excluded.jwk, not_after = excluded.not_after",
            event.key_id, event.jwk, event.not_after,
        )  # fmt: skip
    elif isinstance(event, SigningKeyRetired):
        await conn.execute("DELETE FROM public.signing_key WHERE key_id = $1", event.key_id)
    elif isinstance(event, PrincipalRevoked):
        await conn.execute(
            "INSERT INTO public.revocation (principal, before) VALUES ($1, $2)"
            " ON CONFLICT (principal) DO UPDATE SET before = greatest(public.revocation.before, excluded.before)",
            event.principal, event.before,
        )  # fmt: skip
