"""What the decisions of care share: the state that a command needs, checks of ids and lines, a refusal of the state."""

from __future__ import annotations

import re
from typing import TypeVar

from services.kernel.errors import Refusal
from services.tickets.care_commands import CareCommand
from services.tickets.care_domain import CareState

S = TypeVar("S", bound=CareState)
_ID = re.compile(r"[^\s:/\x00-\x1f\x7f]{1,60}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


def there(state: CareState | None, kind: type[S], command: CareCommand, *, needed: bool = False) -> S | None:
    """Return the state as the kind that a command speaks of. Refusal 404 `.._unknown` where it is needed and absent."""
    if state is None:
        if needed:
            raise unknown(kind.__name__.lower())
        return None
    if not isinstance(state, kind):
        raise TypeError(f"{type(command).__name__} is not for a {type(state).__name__}")
    return state


def unknown(what: str) -> Refusal:
    return Refusal(
        f"{what}_unknown", f"there is no such {what}", status=404, field=what, remedy="Check the id, or list them."
    )


def not_in_this_state(subject: str, state: str, remedy: str) -> Refusal:
    return Refusal("not_in_this_state", f"{subject} is {state}", status=409, remedy=remedy)


def check_id(text: str, field: str) -> None:
    """Refuse an id that could not stand in an address or an aggregate's name."""
    if not _ID.fullmatch(text):
        raise Refusal(
            f"bad_{field}_id",
            "an id is one word of at most 60 characters without colon and slash",
            status=422,
            field=field,
            remedy="Shorten it, or leave those characters out.",
        )


def check_line(text: str, field: str) -> None:
    """Refuse what is empty, of several lines, or longer than 200 characters."""
    if not _LINE.fullmatch(text) or not text.strip():
        raise Refusal("bad_text", f"{field} is one line of 1 to 200 characters", status=422, field=field)
