"""RFC 8785 canonical JSON and the 16-byte content digest of an activity.

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
_FIRST_SURROGATE = "\ud800"  # from here on the order of UTF-16 code units is not that of code points


def canonical(value: Any) -> bytes:
    """Return the canonical bytes of a decoded JSON value (dict, list, str, int, float, bool, None)."""
    if type(value) is dict:
        for key, item in value.items():
            if type(item) not in _PLAIN or key >= _FIRST_SURROGATE or not key.isascii():
                return _encode_ordered(_prepared(value))
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


class Content(msgspec.Struct, gc=False):
    """What makes two events the same; fields in canonical (alphabetical) order."""

    data: msgspec.Raw
    subject: str | None
    time: str
    type: str


def content_digest(kind: str, subject: str | None, instant: str, data: Any) -> bytes:
    """Return the 16-byte digest of an event's content. `instant`: UTC, "2026-10-17T00:30:00Z"; `data` decoded."""
    document = _encode_ordered(Content(msgspec.Raw(canonical(data)), subject, instant, kind))
    return hashlib.sha256(document).digest()[:16]


def decode_json(raw: bytes | msgspec.Raw) -> Any:
    """Decode a JSON document; raises msgspec.DecodeError, UnicodeDecodeError or RecursionError."""
    return _decode(raw)
