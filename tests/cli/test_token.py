"""`opsledger token` proves that its user can read this instance's secrets, and names role, person and unit."""

import json
from collections.abc import Callable

from typer.testing import Result

from deploy.local.instance import Instance, load_credentials
from deploy.local.process import RunnerError
from tests.cli.conftest import Service

Run = Callable[..., Result]


def test_a_token_is_printed_alone_on_its_line(instance: Instance, service: Service, run: Run) -> None:
    result = run("token", "--role", "group_leader", "--person", "1001", "--unit", "commercial")
    assert result.stdout == "bearer\n"
    assert json.loads(service.asked_for("POST /v1/token")[0]) == {
        "grant": "instance",
        "secret": load_credentials(instance).instance_secret,
        "role": "group_leader",
        "person": "1001",
        "unit": "commercial",
    }


def test_a_refusal_is_shown_with_its_code_and_remedy(instance: Instance, service: Service, run: Run) -> None:
    problem = {"code": "unknown_role", "detail": "no such role", "field": "role", "remedy": "name one of ..."}
    service.routes["POST /v1/token"] = lambda *_: (422, problem)
    error = run("token", "--role", "king").exception
    assert isinstance(error, RunnerError)
    assert (error.code, error.detail, error.remedy) == ("unknown_role", "no such role (field role)", "name one of ...")


def test_no_system_is_said_so(instance: Instance, service: Service, run: Run) -> None:
    service.stop()
    error = run("token", "--role", "director").exception
    assert isinstance(error, RunnerError)
    assert error.code == "unreachable"
