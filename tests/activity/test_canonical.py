"""The content digest rests on RFC 8785; the fast path must write the very bytes of the reference package."""

from __future__ import annotations

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.canonical import canonical, content_digest

SAFE = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUE = st.recursive(
    st.none() | st.booleans() | SAFE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUE)
def test_canonical_bytes_are_those_of_rfc8785(value):
    assert canonical(value) == rfc8785.dumps(value)


@given(st.dictionaries(TEXT, VALUE, max_size=5))
def test_what_is_decoded_and_canonical_again_is_the_same(value):
    assert canonical(msgspec.json.decode(canonical(value))) == canonical(value)


def test_numbers_are_compared_by_value_and_keys_by_name():
    assert canonical({"b": 1.0, "a": 100}) == canonical({"a": 1e2, "b": 1})
    assert canonical(2**60) != canonical(2**60 + 1)  # beyond RFC 8785: all digits count


@pytest.mark.parametrize(
    "other",
    [("u", "s", "t", {}), ("k", "u", "t", {}), ("k", "s", "u", {}), ("k", "s", "t", {"a": 1}), ("k", "s", "t", None)],
)
def test_every_part_of_the_content_counts(other):
    assert content_digest(*other) != content_digest("k", "s", "t", {})
