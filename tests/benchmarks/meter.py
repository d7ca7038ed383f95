"""Reading the machine: CPU seconds and resident memory of process trees, percentiles, and what a disk flush costs."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil


def tree(roots: Iterable[int]) -> list[psutil.Process]:
    """Return the processes with these ids and everything below them."""
    found: dict[int, psutil.Process] = {}
    for pid in roots:
        try:
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                found[process.pid] = process
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def cpu_seconds(roots: Iterable[int]) -> dict[str, float]:
    """Return CPU seconds so far by kind of process; children that have ended count with their parent."""
    seconds: dict[str, float] = {}
    for process in tree(roots):
        try:
            spent = process.cpu_times()
            name = _kind(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        total = spent.user + spent.system + spent.children_user + spent.children_system
        seconds[name] = seconds.get(name, 0.0) + total
    return seconds


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return what was spent between two readings."""
    return {name: round(total - before.get(name, 0.0), 3) for name, total in after.items()}


def resident_mb(roots: Iterable[int]) -> dict[str, float]:
    """Return proportional resident memory by kind of process, in MB (shared pages are split among their users)."""
    found: dict[str, float] = {}
    for process in tree(roots):
        try:
            used = process.memory_full_info()
            name = _kind(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        found[name] = round(found.get(name, 0.0) + getattr(used, "pss", used.rss) / 1e6, 1)
    return found


def _kind(process: psutil.Process) -> str:
    name = process.name()
    if not name.startswith("python"):
        return "nats" if name.startswith("nats") else name
    words = process.cmdline()
    if "serve" in words:
        return words[words.index("serve") + 1]
    module = next((word for word in words if word.startswith(("tests.benchmarks", "deploy.local"))), "python")
    role = [word for word in words if word in ("ingest", "projector")]
    return "-".join([module.rpartition(".")[2], *role])


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p90, p99, max and the number of samples."""
    ordered = sorted(values)
    if not ordered:
        return {"n": 0}

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)

    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": round(ordered[-1], 3), "n": len(ordered)}


def flush_microseconds(folder: Path | None = None, rounds: int = 300) -> dict[str, float]:
    """Return what writing 8 kB and flushing it costs on the disk under `folder`."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        taken = []
        for number in range(rounds):
            os.pwrite(file.fileno(), b"x" * 8192, number * 8192)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - began) * 1e6)
    return percentiles(taken)


def median(values: Sequence[float]) -> float:
    """Return the median, 0 of nothing."""
    return statistics.median(values) if values else 0.0
