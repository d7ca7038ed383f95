"""Positions: how far a reader is in which ledger, as text "org:17,activity.0:3" and as a mapping."""

from __future__ import annotations

from collections.abc import Mapping

from services.kernel.errors import Refusal


def parse(text: str | None) -> dict[str, int]:
    """Return ledger -> number; raises Refusal `bad_position` for text of another form."""
    positions: dict[str, int] = {}
    for part in filter(None, (text or "").split(",")):
        ledger, _, number = part.strip().rpartition(":")
        if not ledger or not number.isdecimal() or len(number) > 18:
            raise Refusal(
                "bad_position",
                f"{part!r} is not a position",
                field="at_least",
                remedy='Give ledger and number, as answers do: "org:17,activity.0:3".',
            )
        positions[ledger] = max(int(number), positions.get(ledger, 0))
    return positions


def render(positions: Mapping[str, int]) -> str:
    """Return the text form, ledgers in alphabetical order."""
    return ",".join(f"{ledger}:{number}" for ledger, number in sorted(positions.items()))


def merge(*many: Mapping[str, int]) -> dict[str, int]:
    """Return the furthest position per ledger."""
    furthest: dict[str, int] = {}
    for positions in many:
        for ledger, number in positions.items():
            furthest[ledger] = max(number, furthest.get(ledger, 0))
    return furthest
