"""The same fixtures on containers (OPSLEDGER_TEST_INFRA=containers): what the embedded servers offer, on an engine."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# There may be no registry to fetch the clean-up helper's image from; the fixtures remove what they start.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")

from testcontainers.core.container import DockerContainer

from deploy.local.nats import USERS, greets, render_config
from deploy.local.postgres import accepts
from deploy.local.process import free_port, wait_until

NATS_IMAGE, POSTGRES_IMAGE = "nats:2.12-alpine", "postgres:17"


def _container(image: str, inner_port: int, port: int, command: list[str], **more: Any) -> DockerContainer:
    container = DockerContainer(image, command=command, **more)
    container.ports[f"{inner_port}/tcp"] = ("127.0.0.1", port)  # a fixed port: it outlives a kill
    return container


@dataclass
class ContainerPostgres:
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(12))
    container: DockerContainer | None = None

    def dsn(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        if self.container is None:
            command = ["postgres", "-cfsync=off", "-cshared_buffers=128MB", "-cmax_connections=120"]
            self.container = _container(POSTGRES_IMAGE, 5432, self.port, command)
            self.container.with_env("POSTGRES_PASSWORD", self.password)
            self.container.start()
        else:
            self.container.get_wrapped_container().start()
        assert wait_until(lambda: accepts("127.0.0.1", self.port), 60), "PostgreSQL does not answer"

    def kill(self) -> None:
        if self.container is not None:
            self.container.get_wrapped_container().kill()

    def stop(self) -> None:
        if self.container is not None:
            self.container.stop()
            self.container = None


@dataclass
class ContainerNats:
    place: Path
    callout_issuer: str | None = None
    port: int = field(default_factory=free_port)
    name: str = field(default_factory=lambda: f"nats-{secrets.token_hex(4)}")
    users: dict[str, str] = field(default_factory=lambda: {user: secrets.token_hex(8) for user in USERS})
    container: DockerContainer | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def store_dir(self) -> Path:
        return self.place / "data"

    def start(self) -> None:
        self.store_dir.mkdir(parents=True, exist_ok=True)
        if self.container is None:
            config = render_config(
                host="0.0.0.0",
                port=4222,
                name=self.name,
                store_dir="/data",
                users=self.users,
                shards=4,
                callout_issuer=self.callout_issuer,
            )
            (self.place / "nats.conf").write_text(config)
            volumes = [
                (str(self.place / "nats.conf"), "/etc/nats/own.conf", "ro"),
                (str(self.store_dir), "/data", "rw"),
            ]
            self.container = _container(NATS_IMAGE, 4222, self.port, ["-c", "/etc/nats/own.conf"], volumes=volumes)
            self.container.start()
        else:
            self.container.get_wrapped_container().start()
        assert wait_until(lambda: greets("127.0.0.1", self.port, self.name), 30), "NATS does not answer"

    def kill(self) -> None:
        if self.container is not None:
            self.container.get_wrapped_container().kill()

    def wipe(self) -> None:
        """Empty the volume; the folder itself stays, the container has it mounted."""
        for child in self.store_dir.iterdir():
            shutil.rmtree(child)

    def stop(self) -> None:
        if self.container is not None:
            self.container.stop()
            self.container = None
