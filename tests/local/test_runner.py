"""The runner as its operator meets it: side by side, killed, restarted, interrupted, refused."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from deploy.local.process import port_is_free, start_mark, wait_until
from tests.conftest import sql
from tests.running import RunningSystem

PORTAL_ONLY = {"OPSLEDGER_SERVICES": "portal"}  # what is tried here does not depend on what the services do


@pytest.fixture
def system_of_one() -> Iterator[RunningSystem]:
    system = RunningSystem(settings=PORTAL_ONLY)
    yield system
    system.remove()


def test_two_instances_run_side_by_side(system_of_one: RunningSystem) -> None:
    other = RunningSystem(settings=PORTAL_ONLY)
    try:
        system_of_one.up()
        other.up()
        assert "运营账本" in _front_page(system_of_one)
        assert "运营账本" in _front_page(other)
        other.down()
        assert system_of_one.status()["ready"]
    finally:
        other.remove()


def test_a_killed_supervisor_leaves_nothing_that_hinders_the_next_start(system_of_one: RunningSystem) -> None:
    system_of_one.up()
    sql(system_of_one.dsn("org"), "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    children = {name: system_of_one.pid(name) for name in ("portal", "nats", "postgres")}
    os.kill(children["nats"], signal.SIGSTOP)  # deaf to the kernel's word that its parent died
    system_of_one.kill("supervisor")
    assert wait_until(lambda: all(start_mark(children[name]) is None for name in ("portal", "postgres")), 10)
    system_of_one.up()
    assert system_of_one.status()["ready"]
    assert start_mark(children["nats"]) is None
    sql(system_of_one.dsn("org"), "INSERT INTO kept SELECT n FROM kept")


@pytest.mark.parametrize("process", ["portal", "nats", "postgres"])
def test_what_dies_is_restarted_and_the_rest_keeps_running(running_portal: RunningSystem, process: str) -> None:
    before = {name: running_portal.pid(name) for name in ("portal", "nats", "postgres")}
    running_portal.wait_restarted(process, running_portal.kill(process))
    assert wait_until(lambda: running_portal.status()["ready"], 15, every=0.1)
    after = {name: running_portal.pid(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {process}
    assert running_portal.status()["processes"][process]["restarts"] >= 1


def test_its_secrets_are_its_owners_alone(running_portal: RunningSystem) -> None:
    assert (running_portal.home / "secrets.json").stat().st_mode & 0o077 == 0
    assert (running_portal.home / "nats").stat().st_mode & 0o077 == 0
    command_lines = running_portal.opsledger("logs", "supervisor").stdout
    assert running_portal.credentials.postgres not in command_lines


def test_one_services_role_cannot_enter_anothers_database(running_portal: RunningSystem) -> None:
    stranger = running_portal.dsn("kpi").rsplit("/", 1)[0] + "/opsledger_org"
    with pytest.raises(Exception, match="permission denied"):
        sql(stranger, "SELECT 1")


def test_ctrl_c_stops_a_foreground_instance_cleanly(system_of_one: RunningSystem) -> None:
    process = system_of_one.spawn("up", "--foreground")
    assert wait_until(lambda: system_of_one.instance.state().get("phase") == "running", 30)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 0, output
    assert "stopped" in output
    assert all(port_is_free(system_of_one.base_port + offset) for offset in (0, 5, 6))


def test_a_busy_port_is_named_with_its_remedy(system_of_one: RunningSystem) -> None:
    with socket.create_server(("127.0.0.1", system_of_one.base_port + 5)):
        done = system_of_one.opsledger("up", check=False)
    assert done.returncode == 1
    assert "port_busy" in done.stderr
    assert str(system_of_one.base_port + 5) in done.stderr
    assert "OPSLEDGER_PORT" in done.stderr
    assert not system_of_one.pid("supervisor")


def test_logs_are_readable(running_portal: RunningSystem) -> None:
    shown = running_portal.opsledger("logs", "supervisor").stdout
    assert "supervisor running" in shown
    assert "{" not in shown.splitlines()[0]
    refused = running_portal.opsledger("logs", "nonsense", check=False)
    assert "no_such_log" in refused.stderr


@pytest.fixture(scope="module")
def running_portal() -> Iterator[RunningSystem]:
    system = RunningSystem(settings=PORTAL_ONLY)
    system.up()
    yield system
    system.remove()


def _front_page(system: RunningSystem) -> str:
    with urllib.request.urlopen(system.url("portal"), timeout=10) as answer:
        return answer.read().decode()
