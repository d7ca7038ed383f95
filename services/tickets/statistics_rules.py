"""The rules of the complaint statistics: what a concentration is, and how a Pareto list is made. Pure.

A concentration: a topic's complaints of a month against the mean of up to twelve months before. The counts of a stable
process are taken as Poisson; the control limit is the smallest count whose probability of being reached or exceeded is
below 0.00135, the upper tail that "three sigma" has of a normal. Source: D. C. Montgomery, Introduction to Statistical
Quality Control, chapter on control charts for nonconformities (c chart), with probability limits in place of
c + 3 * sqrt(c), whose tail is far from 0.00135 where c is small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

TAIL = Fraction(135, 100_000)
PAST_MONTHS = 12  # compared at most
NEEDED_MONTHS = 3  # of past at least: fewer say nothing about what is usual
NEEDED_COUNT = 3  # two complaints are no concentration, however quiet a topic was


def control_limit(mean: Fraction) -> int:
    """Return the smallest count c with P(X >= c) < 0.00135 where X is Poisson with this mean; at least 1.

    The lower tail is summed up to c - 1. In logarithms: with a mean of thousands exp(-mean) is 0 as a float.
    """
    if mean < 0:
        raise ValueError(f"a mean of counts is not negative: {mean}")
    if mean == 0:
        return 1
    rate, below, count = float(mean), 0.0, 0
    while 1.0 - below >= float(TAIL):
        below += math.exp(count * math.log(rate) - rate - math.lgamma(count + 1))
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class Concentration:
    """A month's count beyond what a topic's own past explains; `expected` = the mean of the `months` before."""

    topic: str
    month: str
    count: int
    expected: Fraction
    limit: int
    months: int


def concentration(topic: str, month: str, count: int, past: Iterable[int]) -> Concentration | None:
    """Judge one topic's month. `past`: the counts of the months before, the latest first, months without any as 0.

    None: not raised, or too little past or too few complaints to judge.
    """
    compared = list(past)[:PAST_MONTHS]
    if len(compared) < NEEDED_MONTHS or count < NEEDED_COUNT:
        return None
    expected = Fraction(sum(compared), len(compared))
    limit = max(control_limit(expected), NEEDED_COUNT)
    return Concentration(topic, month, count, expected, limit, len(compared)) if count >= limit else None


def concentrations(counts: Mapping[tuple[str, str], int], month: str, first: str) -> list[Concentration]:
    """Return the topics that are raised in a month, the furthest beyond their limit first.

    `counts`: (topic, "2026-10") -> complaints, absent = none. `first`: the month of the first ticket of all; what was
    before it is no past.
    """
    past = [one for one in months_before(month, PAST_MONTHS) if one >= first]
    topics = sorted({topic for topic, of in counts if of == month})
    found = [
        concentration(topic, month, counts[topic, month], (counts.get((topic, one), 0) for one in past))
        for topic in topics
    ]
    return sorted((one for one in found if one), key=lambda one: (one.limit - one.count, one.topic))


def months_before(month: str, number: int) -> list[str]:
    """Return so many months before a month, the latest first: "2026-01" -> "2025-12", "2025-11", .."""
    year, of_year = map(int, month.split("-"))
    index = year * 12 + of_year - 1
    return [f"{(index - back) // 12:04}-{(index - back) % 12 + 1:02}" for back in range(1, number + 1)]


@dataclass(frozen=True, slots=True)
class Share:
    """One bar of a Pareto list: its count and the share of all that it and those before it make up."""

    key: str | None
    count: int
    share: Fraction
    cumulated: Fraction


def pareto(counts: Mapping[str | None, int]) -> list[Share]:
    """Return the causes by count, the most frequent first; equal ones by name, the unnamed last among them."""
    total = sum(counts.values())
    shares, before = [], 0
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0] is None, item[0] or "")):
        if count:
            before += count
            shares.append(Share(key, count, Fraction(count, total), Fraction(before, total)))
    return shares
