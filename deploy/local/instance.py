"""One instance of the system on this machine: where its data lies, which ports are its own, its secrets."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.nats import SERVICE_USERS, USERS
from deploy.local.postgres import everybody_enters
from deploy.local.process import RunnerError

PROJECT = Path(__file__).resolve().parents[2]
OFFSETS = {"portal": 0, "org": 1, "activity": 2, "tickets": 3, "kpi": 4, "nats": 5, "postgres": 6}
DECIDING = ("org", "activity", "tickets", "kpi")  # these have a database each
DEFAULT_PORT = 8080


@dataclass(frozen=True)
class Instance:
    """Paths and ports; two instances differ in OPSLEDGER_HOME and OPSLEDGER_PORT."""

    home: Path
    base_port: int = DEFAULT_PORT
    host: str = "127.0.0.1"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Instance:
        """Read OPSLEDGER_HOME (default: .opsledger in the project) and OPSLEDGER_PORT (default: its first start's)."""
        env = os.environ if environment is None else environment
        home = Path(env.get("OPSLEDGER_HOME") or PROJECT / ".opsledger").expanduser().resolve()
        text = env.get("OPSLEDGER_PORT") or str(_remembered(home).get("base_port", DEFAULT_PORT))
        if not text.isdigit() or not 1024 <= int(text) <= 65500:
            raise RunnerError("port_invalid", f"OPSLEDGER_PORT is {text!r}", "give a number from 1024 to 65500")
        return cls(home, int(text))

    def port(self, name: str) -> int:
        """Return the port of a service, NATS or Postgres; "kpi-2" is a replica's, ten above."""
        base, _, replica = name.partition("-")
        return self.base_port + OFFSETS[base] + 10 * (int(replica) - 1 if replica else 0)

    def url(self, service: str) -> str:
        """Return the HTTP address of a service."""
        return f"http://{self.host}:{self.port(service)}"

    @property
    def logs(self) -> Path:
        """The folder of the logs, one file a process."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """The folder of pid files and state."""
        return self.home / "run"

    @property
    def state_file(self) -> Path:
        """What the supervisor says about its processes."""
        return self.run / "state.json"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{name}.log"

    def pid_file(self, name: str) -> Path:
        """Return the pid file of a service or of the supervisor."""
        return self.run / f"{name}.pid.json"

    def state(self) -> dict[str, Any]:
        """Return the supervisor's last word, {} when there is none."""
        try:
            found: dict[str, Any] = json.loads(self.state_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found


@dataclass(frozen=True)
class Credentials:
    """Everything secret of an instance, and what is fixed when it is made. Kept in secrets.json, mode 0600."""

    instance_id: str
    activity_shards: int
    timezone: str
    postgres: str
    instance_secret: str
    nats_issuer_seed: str
    nats_issuer: str
    base_port: int
    databases: dict[str, str] = field(default_factory=dict)
    nats: dict[str, str] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)


def _remembered(home: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads((home / "secrets.json").read_text())
    except (FileNotFoundError, PermissionError, ValueError):
        return {}
    return known


def load_credentials(instance: Instance) -> Credentials:
    """Read an instance's secrets. Raises RunnerError when it was never started."""
    known = _remembered(instance.home)
    if not known:
        raise RunnerError("instance_missing", f"there is no instance in {instance.home}", "opsledger up")
    return Credentials(**known)


def make_credentials(instance: Instance, environment: Mapping[str, str] | None = None) -> tuple[Credentials, bool]:
    """Return the instance's secrets and whether they were made just now. Never changes existing ones."""
    path = instance.home / "secrets.json"
    if path.exists():
        return load_credentials(instance), False
    env = os.environ if environment is None else environment
    made = new_credentials(
        instance.base_port,
        int(env.get("OPSLEDGER_ACTIVITY_SHARDS", "1")),
        env.get("OPSLEDGER_TIMEZONE", "Asia/Shanghai"),
    )
    instance.home.mkdir(parents=True, exist_ok=True)
    # Root's database runs as an unprivileged account, which passes through and sees nothing.
    instance.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(asdict(made), indent=1))
    beside.replace(path)
    return made, True


def new_credentials(base_port: int, activity_shards: int, timezone: str) -> Credentials:
    """Make fresh random secrets."""
    seed, issuer = new_account_key()
    return Credentials(
        instance_id=secrets.token_hex(8),
        activity_shards=activity_shards,
        timezone=timezone,
        postgres=secrets.token_urlsafe(24),
        instance_secret=secrets.token_urlsafe(32),
        nats_issuer_seed=seed,
        nats_issuer=issuer,
        base_port=base_port,
        databases={name: secrets.token_urlsafe(24) for name in DECIDING},
        nats={name: secrets.token_urlsafe(24) for name in USERS},
        services={name: secrets.token_urlsafe(32) for name in SERVICE_USERS},
    )


def new_account_key() -> tuple[str, str]:
    """Return seed and public key of a new NATS account."""
    import nkeys  # only here: the resident supervisor does without it

    seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_ACCOUNT)
    return seed.decode(), nkeys.from_seed(bytearray(seed)).public_key.decode()


def postgres_place(instance: Instance, credentials: Credentials) -> Path:
    """Return where the cluster lies: in the home, unless root's home is closed to the database's account."""
    if everybody_enters(instance.home):
        return instance.home / "postgres"
    return Path("/var/lib/opsledger") / credentials.instance_id / "postgres"


def stale_files(instance: Instance, credentials: Credentials) -> dict[Path, int]:
    """Return every pid file of this instance but the supervisor's, each with its process's polite signal."""
    files: dict[Path, int] = dict.fromkeys(instance.run.glob("*.pid.json"), signal.SIGTERM)
    files.pop(instance.pid_file("supervisor"), None)
    files[instance.home / "nats" / "nats.pid.json"] = signal.SIGTERM
    files[postgres_place(instance, credentials) / "postgres.pid.json"] = signal.SIGINT
    return files
