"""How far somebody's permission reaches over units: the units of the role's grants and everything below them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from services.kernel.auth import Access
from services.kernel.clock import monotonic
from services.kernel.errors import Refusal

FRESH_SECONDS = 1.0  # how old the tree may be

Tree = Mapping[str, str | None]  # unit -> the unit above it


async def _nothing_known() -> Tree:
    return {}


class Units:
    """The tree of units as last read. `load` reads it; without one, a unit reaches itself only."""

    def __init__(self, load: Callable[[], Awaitable[Tree]] = _nothing_known) -> None:
        self._load = load
        self._tree: Tree = {}
        self._read_at: float | None = None

    async def tree(self) -> Tree:
        """Return unit -> parent."""
        if self._read_at is None or monotonic() - self._read_at > FRESH_SECONDS:
            self._tree = await self._load()
            self._read_at = monotonic()
        return self._tree

    async def below(self, units: Iterable[str]) -> frozenset[str]:
        """Return the units and every unit below them."""
        tree = await self.tree()
        found = set(units)
        grown = True
        while grown:
            more = {unit for unit, parent in tree.items() if parent in found} - found
            found |= more
            grown = bool(more)
        return frozenset(found)

    async def reached(self, access: Access) -> frozenset[str]:
        """Return the units that a unit-wide access reaches; nothing for a narrower one. Ask `everything` before."""
        return await self.below(access.units) if access.scope in ("unit", "parent") else frozenset()

    async def refuse_unknown(self, unit: str) -> None:
        """Refuse (422 `unit_unknown`) a unit that the organisation does not have, once anything is known of it."""
        tree = await self.tree()
        if tree and unit not in tree:
            raise Refusal(
                "unit_unknown", f"there is no unit {unit}", status=422, field="unit", remedy="GET /v1/units on org."
            )
