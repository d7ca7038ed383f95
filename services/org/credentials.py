"""Secrets: how publisher tokens and passwords are made, kept and compared. None of it reaches the ledger or a log."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets

from pwdlib import PasswordHash

from services.kernel import clock
from services.kernel.database import Connection
from services.kernel.errors import Refusal

TOKEN_PREFIX = "olp_"  # noqa: S105 - lets secret scanners know a publisher token
FAILURES = 5  # wrong passwords of one person before the next try has to wait
FAILURE_SECONDS = 60.0

_hasher = PasswordHash.recommended()


def new_token() -> tuple[str, bytes]:
    """Return a publisher token of 256 random bits and what is stored of it: its SHA-256."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return token, digest(token)


def digest(token: str) -> bytes:
    """Return what is stored of a token. Plain SHA-256: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in constant time; an empty one equals nothing."""
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


async def publisher_token_stands(conn: Connection, publisher: str, token: str) -> bool:
    """Whether this is the token of a publisher that is not revoked."""
    stored = await conn.fetchval(
        "SELECT t.hash FROM publisher_token t JOIN publisher p USING (publisher)"
        " WHERE t.publisher = $1 AND NOT p.revoked",
        publisher,
    )
    return hmac.compare_digest(digest(token), stored if stored is not None else bytes(32)) and stored is not None


async def hash_password(password: str) -> str:
    """Return the argon2 hash; computed in a thread, it takes tens of milliseconds."""
    return await asyncio.to_thread(_hasher.hash, password)


class PasswordCheck:
    """Compares passwords, a few at a time, and makes those wait who guess."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(2)
        self._failures: dict[str, tuple[int, float]] = {}
        self._nobody = _hasher.hash(secrets.token_urlsafe(16))  # compared where there is no such person

    async def check(self, person: str, password: str, stored: str | None) -> bool:
        """Whether the password is right. Refusal 429 `too_many_attempts` after several wrong ones."""
        count, until = self._failures.get(person, (0, 0.0))
        if count >= FAILURES and clock.monotonic() < until:
            raise Refusal(
                "too_many_attempts",
                "several wrong passwords in a row",
                status=429,
                remedy=f"Wait {int(FAILURE_SECONDS)} seconds.",
            )
        async with self._slots:
            right = await asyncio.to_thread(_hasher.verify, password, stored or self._nobody)
        if right and stored is not None:
            self._failures.pop(person, None)
            return True
        if len(self._failures) > 10_000:
            self._failures.clear()
        self._failures[person] = (count + 1, clock.monotonic() + FAILURE_SECONDS)
        return False
