"""Compare the oracle's rows with a running system, through the public HTTP API only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any, get_args

import httpx

from tests.oracle.figures import Key, Scope

Subject = tuple[Scope, str, str]  # (scope, scope id, period): what one request answers
DoneDue = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Difference:
    key: Key
    expected: object
    found: object

    def __str__(self) -> str:
        quota, scope, scope_id, period = self.key
        return f"{quota} {scope} {scope_id} {period}: expected {_show(self.expected)}, found {_show(self.found)}"


def _show(value: object) -> str:
    return f"{value[0]} of {value[1]}" if isinstance(value, tuple) else str(value)


async def compare(
    kpi_client: httpx.AsyncClient,
    expected: Mapping[Key, DoneDue],
    *,
    statuses: Mapping[Key, str] | None = None,
    also: Iterable[Subject] = (),
    at_least: str | None = None,
) -> list[Difference]:
    """Fetch every figure that is expected and return all differences; an empty list is exact equality.

    `kpi_client` has the base URL and a token that sees everything. Rows that the system shows and nobody expects are
    differences too; `also` names further (scope, id, period)s to ask, which must then show nothing. A unit's row of
    nothing done and nothing due may be left out by either side.
    """
    differences: list[Difference] = []
    for subject in sorted({key[1:] for key in expected} | set(also)):
        wanted = {key: value for key, value in expected.items() if key[1:] == subject}
        rows = await _rows(kpi_client, subject, at_least)
        found: dict[Key, dict[str, Any]] = {}
        for row in rows:
            key: Key = (row["quota"], *subject)
            if key in found:
                differences.append(Difference(key, "one row", "several"))
            found[key] = row
            if (row["scope"], row["id"], row["period"]) != subject:
                differences.append(Difference(key, subject, f"a row of {row['scope']} {row['id']} {row['period']}"))
        differences += _differences(wanted, found, statuses or {})
    return differences


async def compare_whole(
    kpi_client: httpx.AsyncClient,
    expected: Mapping[Key, DoneDue],
    periods: Iterable[str],
    *,
    at_least: str | None = None,
) -> list[Difference]:
    """Like `compare`, but asking for whole scopes: every row that there is in the periods, nothing left out."""
    differences: list[Difference] = []
    for period, scope in product(periods, get_args(Scope)):
        params = {"period": period, "scope": scope} | ({"at_least": at_least} if at_least else {})
        answer = await kpi_client.get("/v1/attainments", params=params)
        answer.raise_for_status()
        found: dict[Key, dict[str, Any]] = {}
        for row in answer.json()["data"]:
            key: Key = (row["quota"], row["scope"], row["id"], row["period"])
            if key in found or (key[1], key[3]) != (scope, period):
                differences.append(Difference(key, "one row of the scope", "several, or a foreign one"))
            found[key] = row
        wanted = {key: value for key, value in expected.items() if (key[1], key[3]) == (scope, period)}
        differences += _differences(wanted, found, {})
    return differences


async def assert_equal(kpi_client: httpx.AsyncClient, expected: Mapping[Key, DoneDue], **options: Any) -> None:
    differences = await compare(kpi_client, expected, **options)
    assert not differences, report(differences, len(expected))


def report(differences: list[Difference], compared: int, most: int = 40) -> str:
    lines = [f"{len(differences)} of {compared} figures differ"]
    lines += [str(difference) for difference in differences[:most]]
    if len(differences) > most:
        lines.append(f"... and {len(differences) - most} more")
    return "\n".join(lines)


async def _rows(client: httpx.AsyncClient, subject: Subject, at_least: str | None) -> list[dict[str, Any]]:
    scope, scope_id, period = subject
    params = {"period": period, "scope": scope, "id": scope_id}
    if at_least is not None:
        params["at_least"] = at_least
    answer = await client.get("/v1/attainments", params=params)  # the client percent-encodes "/" and "+"
    answer.raise_for_status()
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def _differences(
    wanted: Mapping[Key, DoneDue], found: Mapping[Key, dict[str, Any]], statuses: Mapping[Key, str]
) -> list[Difference]:
    differences: list[Difference] = []
    for key in sorted(wanted.keys() | found.keys()):
        want = wanted.get(key)
        row = found.get(key)
        have = None if row is None else (Fraction(row["done"]), Fraction(row["due"]))
        if key[1] == "unit" and (want or (0, 0)) == (have or (0, 0)) == (0, 0):
            continue
        if want != have:
            differences.append(Difference(key, want or "no row", have or "no row"))
        elif row is not None:
            differences += _row_differences(key, row, statuses.get(key))
    return differences


def _row_differences(key: Key, row: dict[str, Any], status: str | None) -> list[Difference]:
    """The row's own parts must agree: ratio = done / due, "exact (a fraction inside)"; none where nothing is due."""
    differences: list[Difference] = []
    done, due = Fraction(row["done"]), Fraction(row["due"])
    ratio = row.get("ratio")
    if due == 0 and ratio is not None:
        differences.append(Difference(key, "no ratio", f"ratio {ratio}"))
    if due > 0 and (ratio is None or abs(float(Fraction(str(ratio))) - float(done / due)) > 1e-9):
        differences.append(Difference(key, f"ratio {done / due}", f"ratio {ratio}"))
    if status is not None and row["status"] != status:
        differences.append(Difference(key, f"status {status}", f"status {row['status']}"))
    return differences
