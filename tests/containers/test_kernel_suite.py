"""The kernel's behaviour suite once more, on containers instead of the embedded servers: the same tests, unchanged."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from deploy.local.instance import PROJECT

pytestmark = pytest.mark.containers


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("engine")
def test_the_kernel_behaves_alike_on_containers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/kernel", "-m", "not faults and not containers", "--timeout=300"],
        env={**os.environ, "OPSLEDGER_TEST_INFRA": "containers"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-2000:]
    assert int(passed[1]) > 0
