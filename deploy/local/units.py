"""One supervised process over all its lives: when it is started again, how often it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.local.process import Child

FIRST_DELAY, LONGEST_DELAY = 0.2, 30.0
STEADY_SECONDS = 20.0  # after so long a life the back-off starts anew


@dataclass
class Unit:
    """`due` is when the next start is to happen (monotonic seconds), None while it runs or was never started."""

    name: str
    launch: Callable[[], Child]
    child: Child | None = field(default=None, repr=False)
    due: float | None = None
    delay: float = 0.0
    restarts: int = -1
    started: float = 0.0
    last_exit: int | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.child.pid if self.child else None

    def start(self) -> None:
        """Start it, for the first time or again."""
        self.child = self.launch()
        self.started, self.due = time.monotonic(), None
        self.restarts += 1

    def died(self, now: float) -> bool:
        """Notice its end, once, and plan the next start."""
        if self.child is None or self.due is not None or self.child.pid is not None:
            return False
        self.last_exit = self.child.popen.returncode if self.child.popen else None
        if now - self.started >= STEADY_SECONDS:
            self.delay = 0.0
        self.failed(now)
        return True

    def failed(self, now: float) -> None:
        """Plan the next start, later each time."""
        self.delay = min(LONGEST_DELAY, self.delay * 2 or FIRST_DELAY)
        self.due = now + self.delay

    def describe(self, port: int) -> dict[str, object]:
        """Return what the state file says of it."""
        state = "running" if self.pid else ("waiting" if self.due is not None else "stopped")
        return {
            "state": state,
            "pid": self.pid,
            "port": port,
            "restarts": max(0, self.restarts),
            "last_exit": self.last_exit,
        }
