"""The members of a JSON array, still encoded, so that each can be judged by itself."""

from __future__ import annotations

import json
import re

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_SPACE = re.compile(r"[ \t\n\r]*")


def split(document: bytes) -> list[bytes]:
    """Return the members of a JSON array, still encoded. Raises UNREADABLE errors.

    msgspec reads no array in which one member has a lone surrogate; the standard library finds the others' ends.
    """
    try:
        return [bytes(raw) for raw in _raws(document)]
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        members = _split_leniently(document.decode("utf-8", "surrogateescape"))
        if members is None:
            raise
        return members


def _split_leniently(text: str) -> list[bytes] | None:
    at, scan, members = _space(text, 0), json.JSONDecoder().raw_decode, []
    if text[at : at + 1] != "[":
        return None
    try:
        while True:
            start = _space(text, at + 1)
            _, end = scan(text, start)
            members.append(text[start:end].encode("utf-8", "surrogateescape"))
            at = _space(text, end)
            if text[at] == "]":
                return members if _space(text, at + 1) == len(text) else None
            if text[at] != ",":
                return None
    except (ValueError, IndexError, RecursionError):
        return None


def _space(text: str, at: int) -> int:
    """Return where the whitespace from `at` on ends."""
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at
