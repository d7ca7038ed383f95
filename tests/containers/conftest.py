"""Where no engine answers, these tests are skipped and say so; where CI started one, they never are."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def _missing_engine() -> str | None:
    if shutil.which("docker") is None:
        return "no docker command on this machine"
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=30, check=False)
    return None if done.returncode == 0 else "no Docker engine answers (is DOCKER_HOST set?)"


@pytest.fixture(scope="session")
def engine() -> None:
    missing = _missing_engine()
    if missing and os.environ.get("OPSLEDGER_REQUIRE_ENGINE"):
        pytest.fail(f"an engine was promised: {missing}")
    if missing:
        pytest.skip(missing)
