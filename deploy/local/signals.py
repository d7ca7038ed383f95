"""Signals as bytes on a socket: one select() then waits for children, requests to stop, and time."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator


def drain(wakeup: socket.socket) -> None:
    """Forget what woke us."""
    with contextlib.suppress(BlockingIOError):
        while wakeup.recv(64):
            pass


@contextlib.contextmanager
def signals(stopping: list[int]) -> Iterator[socket.socket]:
    """Yield the socket; numbers of the signals that ask to stop are appended to `stopping`."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: stopping.append(received))
    yield ours
