"""One child process: started in its own group, dying with its parent, remembered by a pid file that survives us.

Used by the supervisor and by the tests alike. Knows nothing about what the child does.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class RunnerError(Exception):
    """A refusal of the runner: what went wrong, and what to do about it."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"{code}: {detail}\n  remedy: {remedy}")
        self.code, self.detail, self.remedy = code, detail, remedy


def start_mark(pid: int) -> str | None:
    """Return what tells this process from a later one of the same pid, or None when it does not run (any more)."""
    if not Path("/proc/self/stat").exists():
        out = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return out.stdout.strip() or None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields[19]


@dataclass
class Child:
    """A process to be; `user`/`group` drop privileges, `death_signal` is what it gets when its parent dies."""

    name: str
    argv: Sequence[str]
    log: Path
    pid_file: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    user: int | None = None
    group: int | None = None
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGTERM
    popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the process. A stale one of the same pid file is ended first."""
        end_stale(self.pid_file)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.env) if self.env is not None else None,
                cwd=self.cwd,
                user=self.user,
                group=self.group,
                extra_groups=[] if self.user is not None else None,
                start_new_session=True,
                preexec_fn=_dies_with(parent, self.death_signal),
            )
        write_pid(self.pid_file, self.popen.pid)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.popen.pid if self.popen is not None and self.popen.poll() is None else None

    def ask_to_stop(self) -> None:
        """Send the polite signal."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.stop_signal)

    def stop(self, timeout: float = 10.0) -> None:
        """Stop politely within `timeout` seconds, then by force."""
        self.ask_to_stop()
        self.finish(timeout)

    def finish(self, timeout: float) -> None:
        """Wait for the end; after `timeout` seconds end the whole group by force."""
        if self.popen is None:
            return
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """kill -9 of the whole process group."""
        if self.popen is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait(10)


def _dies_with(parent: int, death_signal: int) -> Callable[[], None]:
    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:  # the parent died between fork and prctl
                os._exit(1)

    return prepare


def write_pid(path: Path, pid: int) -> None:
    """Remember a process together with its start mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({"pid": pid, "mark": start_mark(pid)}))
    beside.replace(path)


def running_pid(path: Path) -> int | None:
    """Return the pid of the process that the file remembers if that very process still runs."""
    try:
        known = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    pid = int(known["pid"])
    mark = start_mark(pid)
    return pid if mark is not None and mark == known["mark"] else None


def end_stale(path: Path, polite: int = signal.SIGTERM, timeout: float = 5.0) -> bool:
    """End the process that a former supervisor left behind, if any. Returns whether there was one."""
    pid = running_pid(path)
    if pid is not None:
        _signal(pid, polite, group=False)
        if not _gone(path, timeout):
            _signal(pid, signal.SIGKILL, group=True)
            _gone(path, 5.0)
    path.unlink(missing_ok=True)
    return pid is not None


def end_all_stale(files: Mapping[Path, int], timeout: float = 4.0) -> None:
    """End what a former supervisor left behind, all asked at once; `files` maps a pid file to its polite signal."""
    for path, polite in files.items():
        pid = running_pid(path)
        if pid is not None:
            _signal(pid, polite, group=False)
    deadline = time.monotonic() + timeout
    for path, polite in files.items():
        end_stale(path, polite, max(0.0, deadline - time.monotonic()))


def end_inhabitants(folder: Path, timeout: float = 5.0) -> int:
    """kill -9 every process that works in a folder and wait for their end; returns how many there were.

    Meant for the sessions of a database server that was killed: they outlive it for a moment and keep the next one out.
    """
    for pid in (found := _inhabitants(folder)):
        _signal(pid, signal.SIGKILL, group=False)
    if found:
        wait_until(lambda: not _inhabitants(folder), timeout)
    return len(found)


def _inhabitants(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):  # where there is no /proc, they are waited for at the next start
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == folder and start_mark(int(entry.name)) is not None:
                found.append(int(entry.name))
    return found


def _signal(pid: int, number: int, *, group: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if group and os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def _gone(path: Path, timeout: float) -> bool:
    return wait_until(lambda: running_pid(path) is None, timeout)


def wait_until(condition: Callable[[], bool], timeout: float, every: float = 0.02) -> bool:
    """Poll a condition until it holds or the time is up; returns whether it held."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether we could listen on a port (what is merely in TIME_WAIT counts as free)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
