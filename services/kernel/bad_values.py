"""Values that no column holds: U+0000, half of a surrogate pair, a number beyond its type. The sender's, not ours.

The database refuses them in the middle of a statement; nothing was written. The answer is a coded 422 like any other
bad value, where it would be a failure of the service. What such a value means is checked earlier, by the rules.
"""

from __future__ import annotations

import logging

import asyncpg
from fastapi import FastAPI, Request, Response
from pydantic_core import PydanticSerializationError

from services.kernel.web import problem

log = logging.getLogger("opsledger.web")

NOT_HELD: tuple[type[Exception], ...] = (asyncpg.DataError, UnicodeEncodeError)


def refuse_bad_values(app: FastAPI) -> None:
    """Answer 422 `bad_value` wherever a request's value cannot be kept or looked up."""
    for kind in NOT_HELD:
        app.add_exception_handler(kind, _on_bad_value)
    app.add_exception_handler(PydanticSerializationError, _on_unwritable)


async def _on_bad_value(_: Request, error: Exception) -> Response:
    log.info("bad_value", extra={"error": repr(error)[:200]})
    return problem(
        422,
        "bad_value",
        "a value contains U+0000 or half of a surrogate pair, or a number is too large",
        remedy="Send well-formed text without U+0000, and numbers of a sensible size.",
    )


async def _on_unwritable(request: Request, error: Exception) -> Response:
    """A decision's text with half of a surrogate pair fails where the event is written; the rest is a failure."""
    if "UnicodeEncodeError" not in str(error):
        raise error
    return await _on_bad_value(request, error)
