"""What is due, to whom: the handbook's "Dues".

"Due = target x due days / calendar days of the period, exact and unrounded (accounts and 35c too)".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from fractions import Fraction

from tests.oracle import sums
from tests.oracle.organisation import Organisation, in_bound_group, is_due_day

NO_TARGET = Fraction(0)  # "Due 0 = no target: no ratio, no verdict, done still shown."

# Monthly quotas of a person and of the units above: what is done (see `sums`), and the month's target in full.
MONTHLY: dict[str, tuple[Callable[[sums.Work], int], int]] = {
    "H-20": (sums.h_20, 0),
    "H-21": (sums.h_21, 0),
    "H-22": (sums.h_22, 0),
    "H-22-complete": (sums.h_22_complete, 0),
    "H-23": (sums.h_23, 0),
    "H-24": (sums.h_24, 0),
    "H-25": (sums.h_25, 0),
    "H-26a": (sums.h_26a, 1),
    "H-26b": (sums.h_26b, 30),
    "H-26c": (sums.h_26c, 30),
    "H-30a": (sums.h_30a, 30),
    "H-30b": (sums.h_30b, 30),
    "H-31a": (sums.h_31a, 30),
    "H-31b": (sums.h_31b, 30),
    "H-32b": (sums.h_32b, 5),
    "H-32c": (sums.h_32c, 0),
    "H-34": (sums.h_34, 0),
    "H-35a": (sums.h_35a, 100),
    "H-35b": (sums.h_35b, 100),
    "H-35c-weibo": (sums.h_35c_weibo, 1),
    "H-35c-wechat": (sums.h_35c_wechat, 1),
    "H-35d-weibo": (sums.h_35d_weibo, 5),
    "H-35d-wechat": (sums.h_35d_wechat, 5),
    "H-40": (sums.h_40, 0),
    "H-41": (sums.h_41, 0),
    "H-42": (sums.h_42, 0),
    "H-43": (sums.h_43, 0),
    "H-54": (sums.h_54, 0),
    "H-55": (sums.h_55, 0),
    "H-60": (sums.h_60, 0),
    "H-61": (sums.h_61, 0),
    "H-62": (sums.h_62, 0),
    "H-71": (sums.h_71, 0),
}

# "H-27 and H-28 are due in full per bound group and month, never prorated; other groups are counted without target."
GROUP_MONTHLY: dict[str, tuple[Callable[[sums.Work], int], int]] = {
    "H-27": (sums.h_27, 10_000),
    "H-28": (sums.h_28, 200),
}

# "Rows 4-12 bind members of the commercial and the public-interest group." Rows 1-3 and the other departments' duties
# bind nobody: those rows exist only where something is done.
BINDING_NOBODY = {"H-20", "H-21", "H-22", "H-22-complete", "H-40", "H-41", "H-42", "H-43"}
BINDING_NOBODY |= {"H-54", "H-55", "H-60", "H-61", "H-62", "H-71"}


def due_days(organisation: Organisation, person: str, days: list[date]) -> list[date]:
    return [day for day in days if is_due_day(organisation, person, day)]


def share(target: int, due: list[date], calendar: list[date]) -> Fraction:
    return Fraction(target * len(due), len(calendar))


def is_bound(organisation: Organisation, person: str, days: list[date]) -> bool:
    """ "Everybody in a bound group on any day of the period has a row; others where done > 0." Absence is no matter."""
    return any(in_bound_group(organisation, person, day) for day in days)
