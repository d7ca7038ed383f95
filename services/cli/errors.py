"""Refusals at the terminal: the code, what went wrong, what to do; no stack of calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.process import RunnerError


@contextmanager
def coded() -> Iterator[None]:
    """Print a RunnerError as three lines and exit with status 1."""
    try:
        yield
    except RunnerError as error:
        print(f"error: {error.detail}\n  code: {error.code}\n  remedy: {error.remedy}", file=sys.stderr)
        sys.exit(1)
