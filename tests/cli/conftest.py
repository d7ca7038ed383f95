"""A stand-in for the services' public HTTP interface, on a real socket, and a runner for commands."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import services.cli
from deploy.local.instance import Instance, make_credentials
from deploy.local.process import RunnerError

Route = Callable[[dict[str, str], bytes], tuple[int, Any]]


class Service:
    """Answers `routes` ("POST /v1/events") and keeps what was asked."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                name = f"{self.command} {self.path.partition('?')[0]}"
                service.asked.append((f"{self.command} {self.path}", headers, body))
                route = service.routes.get(name, lambda *_: (404, {"code": "no_such_route", "detail": name}))
                status, answer = route(headers, body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def asked_for(self, name: str) -> list[bytes]:
        return [body for path, _, body in self.asked if path.startswith(name)]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    one = Service()
    one.routes["POST /v1/token"] = lambda *_: (200, {"access_token": "bearer", "expires_in": 600})
    yield one
    one.stop()


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run a command line; a refusal ends with status 1 and is in `.exception`, as for a person."""

    def command(*words: str, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(services.cli._build(words), list(words), input=stdin)
        if result.exception is not None and not isinstance(result.exception, (SystemExit, RunnerError)):
            raise result.exception
        return result

    return command


@pytest.fixture
def instance(tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance whose services are all the stand-in."""
    monkeypatch.setenv("OPSLEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Instance, "url", lambda self, name: service.url)
    one = Instance.from_environment()
    make_credentials(one)
    return one
