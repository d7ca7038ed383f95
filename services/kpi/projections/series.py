"""Series: the content that activities of one kind share, kept once and numbered, so that a day fact is five numbers.

Numbers are remembered in memory, bounded; one is trusted only when read back in a later transaction than the one that
made it, because that transaction (or a savepoint in it) may have been undone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from services.kernel.database import Connection

Series = tuple[str, str, str, str, bool, str, str, str]
"""(person, type, platform, account, on_topic, form, counterpart, campaign); "" where absent."""

COLUMNS = "person, type, platform, account, on_topic, form, counterpart, campaign"

CREATE = """
CREATE TABLE series (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person      text NOT NULL,
    type        text NOT NULL,
    platform    text NOT NULL,
    account     text NOT NULL,
    on_topic    boolean NOT NULL,
    form        text NOT NULL,
    counterpart text NOT NULL,
    campaign    text NOT NULL,
    UNIQUE (person, type, platform, account, on_topic, form, counterpart, campaign)
);
CREATE INDEX series_counterpart ON series (counterpart) WHERE counterpart <> '';
CREATE INDEX series_account ON series (platform, account) WHERE account <> '';
"""

_ARRAYS = (
    "unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::text[], $7::text[], $8::text[])"
    f" AS wanted ({COLUMNS})"
)
_FIND = f"""
SELECT s.id, s.{COLUMNS.replace(", ", ", s.")}, pg_current_xact_id()::text AS transaction
FROM {_ARRAYS} JOIN series s USING ({COLUMNS})
"""
_ADD = f"""
INSERT INTO series ({COLUMNS}) SELECT {COLUMNS} FROM {_ARRAYS} ORDER BY {COLUMNS}
ON CONFLICT DO NOTHING
RETURNING id, {COLUMNS}, pg_current_xact_id()::text AS transaction
"""


class SeriesNumbers:
    """The numbers of series, by content. One per projector; `capacity` bounds its memory."""

    def __init__(self, capacity: int = 200_000) -> None:
        self.capacity = capacity
        self._known: OrderedDict[Series, int] = OrderedDict()
        self._young: dict[Series, str] = {}  # made in which transaction; not yet seen from a later one

    def forget(self) -> None:
        """Trust nothing any more: the tables may be others."""
        self._known.clear()
        self._young.clear()

    def trusts(self, series: Series) -> bool:
        """Whether the series' number was read back from a transaction that stands."""
        return series in self._known

    async def of(self, conn: Connection, wanted: Iterable[Series]) -> dict[Series, int]:
        """Return the number of every wanted series, making what is missing."""
        known = self._known
        found: dict[Series, int] = {}
        unknown: list[Series] = []
        for series in wanted:
            number = known.get(series)
            if number is None:
                unknown.append(series)
            else:
                found[series] = number
                known.move_to_end(series)
        if unknown:
            await self._look_up(conn, unknown, found)
        return found

    async def _look_up(self, conn: Connection, unknown: Sequence[Series], found: dict[Series, int]) -> None:
        for row in await conn.fetch(_FIND, *zip(*unknown, strict=True)):
            series, transaction = tuple(row)[1:9], row["transaction"]
            found[series] = row["id"]
            if self._young.get(series) != transaction:
                self._young.pop(series, None)
                self._remember(series, row["id"])
        missing = [series for series in unknown if series not in found]
        while missing:
            for row in await conn.fetch(_ADD, *zip(*missing, strict=True)):
                series = tuple(row)[1:9]
                found[series] = row["id"]
                if len(self._young) < self.capacity:
                    self._young[series] = row["transaction"]
            # Another projector may have made some in between: they are there now, so look again.
            missing = [series for series in missing if series not in found]
            if missing:
                for row in await conn.fetch(_FIND, *zip(*missing, strict=True)):
                    found[tuple(row)[1:9]] = row["id"]
                missing = [series for series in missing if series not in found]

    def _remember(self, series: Series, number: int) -> None:
        self._known[series] = number
        if len(self._known) > self.capacity:
            self._known.popitem(last=False)
