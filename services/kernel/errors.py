"""Refusals: errors with a stable code that say what to do. The web edge turns them into RFC 9457 problem documents."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is not carried out, and why.

    `code` is stable and machine-readable, `status` the HTTP status, `field` the part of the input that is wrong,
    `remedy` what the caller can do.
    """

    def __init__(
        self, code: str, detail: str, *, status: int = 400, field: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status
        self.field = field
        self.remedy = remedy


class VersionConflict(Refusal):
    """The aggregate has changed since the caller read it."""

    def __init__(self, aggregate: str, expected: int, actual: int) -> None:
        super().__init__(
            "version_conflict",
            f"{aggregate} is at version {actual}, not {expected}",
            status=409,
            remedy="Read it again and repeat the change on what it is now.",
        )


class Unavailable(Refusal):
    """Not possible at the moment; the same request may be repeated later."""

    def __init__(self, code: str, detail: str, remedy: str = "Repeat the same request later; it counts once.") -> None:
        super().__init__(code, detail, status=503, remedy=remedy)
