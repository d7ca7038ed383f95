"""Computed rows, each kept under everything that it was computed from: never stale, only forgotten."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

_KEPT = 60_000  # cells and rows


class Rows:
    """The rows of people, each under everything that it was computed from."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def get(self, key: tuple[Any, ...]) -> Any:
        found = self._rows.get(key)
        if found is not None:
            self._rows.move_to_end(key)
        return found

    def put(self, key: tuple[Any, ...], value: Any) -> None:
        self._rows[key] = value
        if len(self._rows) > _KEPT:
            self._rows.popitem(last=False)
