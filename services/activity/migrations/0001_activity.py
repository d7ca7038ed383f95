"""The kernel's tables and activity's own."""

from alembic import op
from sqlalchemy.util import await_only

from services.activity.tables import ACTIVITY_SQL
from services.kernel.schema import KERNEL_SQL

revision = "activity_0001"
down_revision = None


def upgrade() -> None:
    for script in (KERNEL_SQL, ACTIVITY_SQL):
        # several statements at once, which a prepared statement cannot hold
        await_only(op.get_bind().connection.driver_connection.execute(script))  # type: ignore[union-attr]
