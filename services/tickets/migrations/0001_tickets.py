"""The kernel's tables and tickets' own."""

from alembic import op
from sqlalchemy.util import await_only

from services.kernel.schema import KERNEL_SQL
from services.tickets.intake_tables import INTAKE_SQL
from services.tickets.tables import TICKETS_SQL

revision = "tickets_0001"
down_revision = None


def upgrade() -> None:
    _script(KERNEL_SQL)
    _script(TICKETS_SQL)
    _script(INTAKE_SQL)


def _script(sql: str) -> None:
    """Run several statements at once, as asyncpg does for a query without arguments."""
    raw = op.get_bind().connection.dbapi_connection
    await_only(raw.driver_connection.execute(sql))  # type: ignore[union-attr]
