"""RFC 8785 canonical JSON and the 16-byte content digest of an event.

The fast path is msgspec's own encoder; what it writes otherwise than RFC 8785 (numbers with a fraction, keys outside
the plain range) is prepared first. One deliberate extension: integers beyond 2^53 keep all their digits, so that two
different ones are never the same content.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import rfc8785

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode
_encode_ordered = msgspec.json.Encoder().encode
_PLAIN = frozenset((str, int, bool, type(None)))


def canonical(value: Any) -> bytes:
    """Return the canonical bytes of a decoded JSON value (dict, list, str, int, float, bool, None)."""
    if type(value) is dict and _PLAIN.issuperset(map(type, value.values())) and "".join(value).isascii():
        return _encode(value)
    return _encode_ordered(_prepared(value))


def _prepared(value: Any) -> Any:
    """Return the value with objects in UTF-16 key order and floats as ECMAScript writes them."""
    kind = type(value)
    if kind is dict:
        return {key: _prepared(value[key]) for key in sorted(value, key=lambda k: k.encode("utf-16-be"))}
    if kind is list:
        return [_prepared(item) for item in value]
    if kind is float:
        return msgspec.Raw(rfc8785.dumps(value))
    return value


def content_digest(kind: str, subject: str | None, instant: str, data: Any) -> bytes:
    """Return the 16-byte digest of an event's content. `instant`: UTC, "2026-10-17T00:30:00Z"; `data` decoded.

    Attributes contain no control characters, so that U+001F separates them without doubt.
    """
    document = canonical(data) + f"\x1f{kind}\x1f{subject or ''}\x1f{instant}".encode()
    return hashlib.sha256(document).digest()[:16]


def decode_json(raw: bytes | msgspec.Raw) -> Any:
    """Decode a JSON document; raises msgspec.DecodeError, UnicodeDecodeError or RecursionError."""
    return _decode(raw)
