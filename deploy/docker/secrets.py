"""The one-shot `init` service: makes the secrets once, and gives each container a volume with its own part of them.

Runs at every start: configurations follow the code, existing secrets stay as they are.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from deploy.local.instance import DECIDING, OFFSETS, Credentials, new_credentials
from deploy.local.nats import SERVICE_USERS, render_config
from deploy.local.provision import provisioning_sql, service_environment

SERVICE_ACCOUNT, POSTGRES_ACCOUNT, ROOT = 10001, 999, 0
BASE_PORT = 8080


def main(folder: Path) -> None:
    """Write below `folder`: tools/, nats/, postgres/ and one folder a service."""
    credentials = _credentials(folder / "tools" / "secrets.json")
    nats = render_config(
        host="0.0.0.0",
        port=4222,
        name="opsledger",
        store_dir="/data",
        users=credentials.nats,
        shards=credentials.activity_shards,
        callout_issuer=credentials.nats_issuer,
        monitor_port=8222,
    )
    _write(folder / "nats" / "nats.conf", nats, ROOT)
    _write(folder / "postgres" / "password", credentials.postgres, POSTGRES_ACCOUNT)
    _write(folder / "postgres" / "roles.sql", provisioning_sql(credentials.databases), POSTGRES_ACCOUNT)
    ports = {service: BASE_PORT + OFFSETS[service] for service in SERVICE_USERS}
    urls = {service: f"http://{service}:{port}" for service, port in ports.items()}
    for service in (*DECIDING, "portal"):
        environment = service_environment(
            service,
            credentials,
            host="0.0.0.0",
            port=ports[service],
            database_address="postgres:5432",
            nats_url="nats://nats:4222",
            urls=urls,
        )
        lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        _write(folder / service / "env", lines, SERVICE_ACCOUNT)


def _credentials(path: Path) -> Credentials:
    if path.exists():
        return Credentials(**json.loads(path.read_text()))
    shards = int(os.environ.get("OPSLEDGER_ACTIVITY_SHARDS", "1"))
    made = new_credentials(BASE_PORT, shards, os.environ.get("OPSLEDGER_TIMEZONE", "Asia/Shanghai"))
    _write(path, json.dumps(asdict(made), indent=1), SERVICE_ACCOUNT)
    return made


def _write(path: Path, text: str, account: int) -> None:
    """Write a file that one account alone may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.chown(path.parent, account, account)
    path.parent.chmod(0o700)
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text(text)
    os.chown(beside, account, account)
    beside.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
