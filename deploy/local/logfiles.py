"""The logs of an instance: bounded in size, and rendered from JSON for a person to read."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

LARGEST = 16 * 1024 * 1024
KEPT = 2

_TIME, _TEXT = ("time", "timestamp", "ts"), ("message", "msg", "event")


def rotate(folder: Path, largest: int = LARGEST) -> None:
    """Copy each log beyond the limit aside and empty it; its writer appends, so it goes on at the start."""
    for path in folder.glob("*.log"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size < largest:
                continue
            for number in range(KEPT - 1, 0, -1):
                older = path.with_suffix(f".log.{number}")
                if older.exists():
                    older.replace(path.with_suffix(f".log.{number + 1}"))
            shutil.copyfile(path, path.with_suffix(".log.1"))
            with path.open("r+b") as log:
                log.truncate(0)


def render(line: str, service: str) -> str:
    """Turn one JSON log line into "time level service message key=value"; any other line keeps its words."""
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return f"{service:<10} {line}"
    when = _take(fields, _TIME)
    text = _take(fields, _TEXT)
    level = str(fields.pop("level", "info")).lower()
    name = str(fields.pop("service", service))
    below = "".join(f"\n{value}" for value in fields.values() if "\n" in str(value))
    rest = " ".join(
        f"{key}={value}" for key, value in fields.items() if value not in (None, "") and "\n" not in str(value)
    )
    return f"{when[:23].replace('T', ' '):<23} {level:<7} {name:<10} {text}  {rest}".rstrip() + below


def _take(fields: dict[str, object], names: tuple[str, ...]) -> str:
    for name in names:
        if name in fields:
            return str(fields.pop(name))
    return ""


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a file, reading no more than its last 256 KiB."""
    with path.open("rb") as log:
        size = log.seek(0, 2)
        log.seek(max(0, size - 256 * 1024))
        return log.read().decode(errors="replace").splitlines()[-lines:]


def follow(paths: dict[str, Path], offsets: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Yield (service, line) for what was written since the last call; `offsets` is brought up to date."""
    for service, path in paths.items():
        with contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            if size < offsets.get(service, 0):
                offsets[service] = 0  # it was rotated
            with path.open("rb") as log:
                log.seek(offsets.get(service, 0))
                fresh = log.read()
            complete = fresh[: fresh.rfind(b"\n") + 1]
            offsets[service] = offsets.get(service, 0) + len(complete)
            for line in complete.decode(errors="replace").splitlines():
                yield service, line
