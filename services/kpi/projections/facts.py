"""Day facts: who did how much of what on which local day. The finest grain that is kept of the activity ledgers.

Adds and subtracts only, so the result is the same in any interleaving of shards, in any batching, and after a rebuild.
Must not judge whether an activity counts for a quota: that is the rules' part, at reading time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import ClassVar

from services.kernel.codec import Commit, Envelope
from services.kernel.database import Connection
from services.kpi import decode
from services.kpi.changes import announce
from services.kpi.projections import series as series_table
from services.kpi.projections.series import Series, SeriesNumbers

_Content = tuple[str, str, str | None, str | None, bool, str | None, str | None, str | None]
_Total = list[int]  # quantity, events, last commit
Totals = dict[_Content, dict[str, _Total]]  # content -> day -> total

_CREATE = (
    series_table.CREATE
    + """
CREATE TABLE day_fact (
    series      bigint NOT NULL,
    day         date NOT NULL,
    quantity    bigint NOT NULL,
    events      integer NOT NULL,
    last_commit bigint NOT NULL,
    PRIMARY KEY (series, day)
) WITH (fillfactor = 80);
CREATE TABLE touched (
    person   text NOT NULL,
    month    date NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (person, month)
) WITH (fillfactor = 80);
"""
)

_ADD = """
INSERT INTO day_fact AS f (series, day, quantity, events, last_commit)
SELECT * FROM unnest($1::text::bigint[], $2::text::date[], $3::text::bigint[], $4::text::int[], $5::text::bigint[])
ORDER BY 1, 2
ON CONFLICT (series, day) DO UPDATE SET
    quantity = f.quantity + excluded.quantity,
    events = f.events + excluded.events,
    last_commit = greatest(f.last_commit, excluded.last_commit)
"""
_TOUCH = """
INSERT INTO touched AS t (person, month, revision)
SELECT * FROM unnest($1::text[], $2::text::date[], $3::text::bigint[]) ORDER BY 1, 2
ON CONFLICT (person, month) DO UPDATE SET revision = greatest(t.revision, excluded.revision)
"""
_CONTENT = """
SELECT s.person, s.type, s.platform, s.account, s.on_topic, s.form, s.counterpart, s.campaign,
    f.day, f.quantity, f.events, f.last_commit
FROM day_fact f JOIN series s ON s.id = f.series
"""


class FactsProjection:
    """The projection "facts". `live=False` (a rebuild) tells nobody of changes."""

    name = "facts"
    ordered = False
    comparable: ClassVar[dict[str, str]] = {"day_fact": _CONTENT, "touched": "SELECT * FROM touched"}

    def __init__(self, ledgers: Sequence[str] = ("activity.0",), *, live: bool = True) -> None:
        self.ledgers = tuple(ledgers)
        self._live = live
        self._numbers = SeriesNumbers()
        self._spelled: dict[_Content, int] = {}

    async def create(self, conn: Connection) -> None:
        """Create the tables in the current schema."""
        self.forget()
        await conn.execute(_CREATE)

    def forget(self) -> None:
        """Trust no remembered number: a transaction was undone, or the tables are others now."""
        self._numbers.forget()
        self._spelled.clear()

    def subject_of(self, event: Envelope) -> str | None:
        """Facts commute: one held event holds up nothing else."""
        return None

    async def apply(self, conn: Connection, commits: Sequence[Commit]) -> None:
        """Fold commits of one ledger into the tables with one statement a table."""
        totals = fold(commits)
        if not totals:
            return
        await conn.execute(_ADD, *await self._rows(conn, totals))
        touched = _touched(totals)
        persons, months, revisions = map(list, zip(*touched, strict=True))
        await conn.execute(_TOUCH, persons, f"{{{','.join(months)}}}", _array(revisions))
        if self._live:  # a pair's figure is both people's
            await announce(conn, {*persons, *(content[6] for content in totals if content[6])})

    async def _rows(self, conn: Connection, totals: Totals) -> tuple[str, ...]:
        """Return the columns of the rows to add.

        As array literals: the driver asks of every element of a list whether it is a list itself, a third of the cost.
        """
        numbers = await self._numbers_of(conn, totals)
        if len(set(numbers.values())) < len(numbers):
            totals, numbers = _united(totals, numbers)
        rows = [(numbers[content], day, *total) for content, days in totals.items() for day, total in days.items()]
        number_of, day_of, quantities, events, last = map(list, zip(*rows, strict=True))
        for text in set(day_of):
            _day(text)  # ValueError here, before it is part of an array
        return _array(number_of), f"{{{','.join(day_of)}}}", _array(quantities), _array(events), _array(last)

    async def _numbers_of(self, conn: Connection, totals: Totals) -> dict[_Content, int]:
        """Return the series' number of each content; contents whose number is trusted are remembered as spelled."""
        spelled = self._spelled
        found = {content: spelled[content] for content in totals if content in spelled}
        if len(found) < len(totals):
            wanted = {content: _series(content) for content in totals if content not in found}
            numbers = await self._numbers.of(conn, set(wanted.values()))
            if len(spelled) > self._numbers.capacity:
                spelled.clear()
            for content, series in wanted.items():
                found[content] = numbers[series]
                if self._numbers.trusts(series):
                    spelled[content] = numbers[series]
        return found


def _array(numbers: list[int]) -> str:
    """Return an array literal of PostgreSQL."""
    return f"{{{str(numbers)[1:-1]}}}"


def _united(totals: Totals, numbers: dict[_Content, int]) -> tuple[Totals, dict[_Content, int]]:
    """Add up the contents that are spellings of one series."""
    first: dict[int, _Content] = {}
    united: Totals = {}
    for content, days in totals.items():
        chosen = first.setdefault(numbers[content], content)
        united[chosen] = _merged(united[chosen], days) if chosen in united else days
    return united, {content: number for number, content in first.items()}


def _merged(one: dict[str, _Total], other: dict[str, _Total]) -> dict[str, _Total]:
    """Add up two spellings of one series: a platform given, and the same one by default."""
    both = dict(one)
    for day, (quantity, events, last) in other.items():
        mine = both.get(day, [0, 0, 0])
        both[day] = [mine[0] + quantity, mine[1] + events, max(mine[2], last)]
    return both


def fold(commits: Iterable[Commit]) -> Totals:
    """Sum commits by content and day: quantity, events and the last commit that touched each.

    The collector rests meanwhile: nothing here is cyclic, and its passes over the totals cost a third of the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _fold(commits)
    finally:
        if collecting:
            gc.enable()


def _fold(commits: Iterable[Commit]) -> Totals:
    totals: Totals = {}
    find = totals.get
    for commit in commits:
        number = commit.number
        for sign, activity in decode.counted(commit):
            data = activity.data
            content = (
                activity.subject, activity.type, data.platform, data.account, data.on_topic,
                data.form, data.counterpart, data.campaign,
            )  # fmt: skip
            days = find(content)
            if days is None:
                days = totals[content] = {}
            total = days.get(activity.day)
            if total is None:
                days[activity.day] = [sign * data.quantity, sign, number]
            else:
                total[0] += sign * data.quantity
                total[1] += sign
                total[2] = number
    return totals


def _series(content: _Content) -> Series:
    person, activity_type, platform, account, on_topic, form, counterpart, campaign = content
    return (
        person, activity_type, decode.platform_of(activity_type, platform), account or "", on_topic,
        form or "", counterpart or "", campaign or "",
    )  # fmt: skip


def _touched(totals: Totals) -> list[tuple[str, str, int]]:
    """Return (person, first day of the month, last commit): whose facts have changed, and since when.

    Only of those who acted: all their commits are of one ledger, so that a later one has a higher number. Somebody's
    counterpart may belong to another ledger, whose numbers would hide what comes later in their own.
    """
    latest: dict[tuple[str, str], int] = {}
    for content, days in totals.items():
        for day, total in days.items():
            place = (content[0], day[:7])
            if latest.get(place, 0) < total[2]:
                latest[place] = total[2]
    return [(person, f"{month}-01", commit) for (person, month), commit in latest.items()]


@lru_cache(maxsize=4096)
def _day(text: str) -> date:
    return date.fromisoformat(text)
