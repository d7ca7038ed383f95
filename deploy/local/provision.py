"""What every deployment has in common: the databases' roles, and the environment that a service process reads."""

from __future__ import annotations

import json

from deploy.local.instance import DECIDING, Credentials
from deploy.local.nats import SYSTEM_USER


def provisioning_sql(passwords: dict[str, str]) -> str:
    """Return a psql script: one role a database, nobody else may connect. May run again at every start."""
    lines = ["\\set ON_ERROR_STOP on", "SET client_min_messages = warning;"]
    for service, password in passwords.items():
        name = f"opsledger_{service}"
        quoted = password.replace("'", "''")
        lines += [
            f"SELECT 'CREATE ROLE {name} LOGIN' "
            f"WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec",
            f"ALTER ROLE {name} PASSWORD '{quoted}';",
            f"SELECT 'CREATE DATABASE {name} OWNER {name}' "
            f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
        ]
    lines.append("REVOKE ALL ON DATABASE postgres FROM PUBLIC;")
    return "\n".join(lines) + "\n"


def service_environment(
    service: str,
    credentials: Credentials,
    *,
    host: str,
    port: int,
    database_address: str,
    nats_url: str,
    urls: dict[str, str],
) -> dict[str, str]:
    """Return the OPSLEDGER_* variables of one service process; `database_address` is "host:port"."""
    env = {
        "OPSLEDGER_SERVICE": service,
        "OPSLEDGER_HOST": host,
        "OPSLEDGER_PORT": str(port),
        "OPSLEDGER_NATS_URL": nats_url,
        "OPSLEDGER_NATS_USER": service,
        "OPSLEDGER_NATS_PASSWORD": credentials.nats[service],
        "OPSLEDGER_TIMEZONE": credentials.timezone,
        "OPSLEDGER_ACTIVITY_SHARDS": str(credentials.activity_shards),
        "OPSLEDGER_SERVICE_SECRET": credentials.services[service],
        **{f"OPSLEDGER_{name.upper()}_URL": url for name, url in urls.items()},
    }
    if service in DECIDING:
        role = f"opsledger_{service}"
        env["OPSLEDGER_DATABASE_URL"] = (
            f"postgresql://{role}:{credentials.databases[service]}@{database_address}/{role}"
        )
    if service == "org":
        env["OPSLEDGER_SERVICE_SECRETS"] = json.dumps(credentials.services)
        env["OPSLEDGER_INSTANCE_SECRET"] = credentials.instance_secret
        env["OPSLEDGER_NATS_ISSUER_SEED"] = credentials.nats_issuer_seed
        env["OPSLEDGER_NATS_SYSTEM_USER"] = SYSTEM_USER
        env["OPSLEDGER_NATS_SYSTEM_PASSWORD"] = credentials.nats[SYSTEM_USER]
    return env
