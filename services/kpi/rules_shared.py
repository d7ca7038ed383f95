"""An account that several people use: whose parts its own figure is made of. Pure.

Handbook, "Counting": a shared account counts for each person who used it; "Small print": a row of H-32a for one
(account, day) is 0 or 1. So days are united over the people, quantities and their dues summed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from contracts.kpi import Quota
from services.kpi.facts import Exact, Facts, Period, whole
from services.kpi.organisation import Organisation, mask_of
from services.kpi.rules import Attainment, attain, standing
from services.kpi.rules_due import account_dues
from services.kpi.rules_select import account_of, of_person


def shared_account(
    quota: Quota,
    account_id: str,
    people: Iterable[str],
    period: Period,
    facts: Facts,
    organisation: Organisation,
    today: date,
    version: int = 1,
) -> Attainment:
    """Return the figure of an account of a person-scope quota over its owner and users; `person` if it is one's."""
    parts = [
        attain(quota, "account", account_id, period, facts, organisation, today, version=version, person=person)
        for person in sorted(set(people)) or [""]
    ]
    mine = [part for part in parts if part.done or part.due]
    if len(mine) <= 1:
        return (mine or parts)[0]._replace(person=mine[0].person if mine else None)
    platform, _, handle = account_id.partition("/")
    account = (platform, handle)
    due_days = met_days = posted_days = 0
    for part in mine:
        person = part.person or ""
        due = account_dues(quota, person, period, facts, organisation).get(account, 0)
        posted = 0
        for series in of_person(quota, person, period, facts, organisation):
            if account_of(series) == account:
                posted |= mask_of(series.days, period)
        due_days |= due
        met_days |= due & posted
        posted_days |= posted
    if quota.measure.per == "account_day":
        done: Exact = (met_days if due_days else posted_days).bit_count()
        amount: Exact = due_days.bit_count()
    else:  # each capped at its own due, so who has none adds nothing where somebody has one
        amount = whole(sum(part.due for part in mine))
        done = whole(sum(part.done for part in mine if part.due or not amount))
    past = due_days & ((1 << max(0, min(today.toordinal() - period.first, period.length))) - 1)
    days, elapsed, over = due_days.bit_count(), past.bit_count(), today.toordinal() > period.last
    return mine[0]._replace(
        person=None,
        done=done,
        due=amount,
        due_days=days,
        elapsed=elapsed,
        status=standing(done, amount, days, elapsed, over, quota.at_risk_after_days),
        last_day=max((part.last_day for part in mine if part.last_day), default=None),
        last_commit=max((part.last_commit for part in mine if part.last_commit), default=None),
    )
