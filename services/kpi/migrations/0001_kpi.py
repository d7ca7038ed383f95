"""The kpi service's first tables: the kernel's, policy versions, alerts, and what has been evaluated."""

from __future__ import annotations

from alembic import op
from sqlalchemy.util import await_only

from services.kernel.schema import KERNEL_SQL

revision = "kpi_0001"
down_revision = None
branch_labels = None
depends_on = None

KPI_SQL = """
CREATE TABLE policy (
    version   integer PRIMARY KEY,
    effective date NOT NULL,
    digest    bytea NOT NULL,
    document  jsonb NOT NULL
);
CREATE TABLE alert (
    quota   text NOT NULL,
    version integer NOT NULL,
    scope   text NOT NULL,
    id      text NOT NULL,
    period  text NOT NULL,
    raised  boolean NOT NULL,
    verdict text,
    done    text NOT NULL,
    due     text NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (quota, version, scope, id, period)
);
CREATE INDEX alert_period ON alert (period, scope, id);
CREATE TABLE evaluated (
    person   text NOT NULL,
    month    date NOT NULL,
    facts    bigint NOT NULL,
    org      bigint NOT NULL,
    policies integer NOT NULL,
    day      date,
    PRIMARY KEY (person, month)
) WITH (fillfactor = 80);
"""


def upgrade() -> None:
    """Create the tables."""
    _script(KERNEL_SQL)
    _script(KPI_SQL)


def _script(sql: str) -> None:
    """Run several statements at once, as asyncpg does for a query without arguments."""
    raw = op.get_bind().connection.dbapi_connection
    await_only(raw.driver_connection.execute(sql))  # type: ignore[union-attr]
