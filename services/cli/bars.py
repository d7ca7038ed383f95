"""Progress bars: on standard error, gone when done, so that standard output can be piped."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def bar() -> Progress:
    """Return a bar with one line for each thing under way."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def stepper(progress: Progress, description: str) -> Callable[[int, int], None]:
    """Return a function (done, of) that moves one line of the bar."""
    task = progress.add_task(description, total=None)
    return lambda done, of: progress.update(task, completed=done, total=of)
