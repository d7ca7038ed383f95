"""All rows of one period, in every scope: what the system's attainments must equal, exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal

from tests.oracle import nested, weekly
from tests.oracle.days import CENTRE_ZONE, days_of, month_of, period_kind
from tests.oracle.dues import BINDING_NOBODY, GROUP_MONTHLY, MONTHLY, NO_TARGET, due_days, is_bound, share
from tests.oracle.intake import Activity, Delivery, standing
from tests.oracle.organisation import Organisation, bound_groups, credited_units, people, units
from tests.oracle.sums import Work

Scope = Literal["person", "account", "pair", "unit"]
Status = Literal["no_target", "on_track", "behind", "at_risk", "met", "missed"]
Key = tuple[str, Scope, str, str]  # (quota, scope, scope id, period)

AT_RISK_AFTER_DAYS = 3


@dataclass(frozen=True)
class Figure:
    done: Fraction
    due: Fraction
    due_days: tuple[date, ...] = ()  # for the status: the period's due days of this scope


def expected(
    organisation: Organisation, deliveries: Iterable[Delivery], period: str, zone: str = CENTRE_ZONE
) -> dict[Key, tuple[Fraction, Fraction]]:
    """(done, due) of every row of the period. The figures do not depend on today; the status does."""
    rows = figures(organisation, standing(organisation, deliveries, zone), period)
    return {key: (figure.done, figure.due) for key, figure in rows.items()}


def expected_of(
    organisation: Organisation, deliveries: Iterable[Delivery], periods: Iterable[str], zone: str = CENTRE_ZONE
) -> dict[Key, tuple[Fraction, Fraction]]:
    """`expected` of several periods, deciding only once which events stand."""
    activities = standing(organisation, deliveries, zone)
    rows: dict[Key, tuple[Fraction, Fraction]] = {}
    for period in periods:
        for key, figure in figures(organisation, activities, period).items():
            rows[key] = (figure.done, figure.due)
    return rows


def expected_status(
    organisation: Organisation, deliveries: Iterable[Delivery], period: str, today: date, zone: str = CENTRE_ZONE
) -> dict[Key, Status]:
    rows = figures(organisation, standing(organisation, deliveries, zone), period)
    return {key: status(figure, period, today) for key, figure in rows.items()}


def status(figure: Figure, period: str, today: date) -> Status:
    """ "running period: on track when done >= due x due days elapsed (through yesterday) / due days of the period, else
    behind; at risk = behind with at least 3 due days elapsed; after its end: met or missed"."""
    if figure.due == 0:
        return "no_target"
    if today > days_of(period)[-1]:
        return "met" if figure.done >= figure.due else "missed"
    elapsed = len([day for day in figure.due_days if day < today])
    if figure.done >= figure.due * elapsed / len(figure.due_days):
        return "on_track"
    return "at_risk" if elapsed >= AT_RISK_AFTER_DAYS else "behind"


def figures(organisation: Organisation, activities: list[Activity], period: str) -> dict[Key, Figure]:
    """ "a weekly quota has weekly figures only, a monthly one monthly only (H-32a: day and month)"."""
    if period_kind(period) == "month":
        return _month(organisation, activities, period)
    if period_kind(period) == "week":
        return _week(organisation, activities, period)
    return _day(organisation, activities, period)


def _within(activities: Iterable[Activity], days: list[date]) -> Work:
    return [activity for activity in activities if activity.day in days]


def _by_person(organisation: Organisation, work: Work) -> dict[str, Work]:
    """ "Work is the subject's, whoever owns the account"."""
    return {person: [a for a in work if a.subject == person] for person in people(organisation)}


def _by_unit(organisation: Organisation, work: Work) -> dict[str, Work]:
    credited: dict[str, Work] = {unit: [] for unit in units(organisation)}
    for activity in work:
        for unit in credited_units(organisation, activity.subject, activity.day):
            credited[unit].append(activity)
    return credited


def _month(organisation: Organisation, activities: list[Activity], period: str) -> dict[Key, Figure]:
    month = days_of(period)
    work = _within(activities, month)
    works = _by_person(organisation, work)
    forums = {person: nested.five_forums(works[person]) for person in works}
    rows: dict[Key, Figure] = {}
    for person in works:
        for quota, figure in _person_month(organisation, person, works[person], forums[person], month).items():
            bound = quota not in BINDING_NOBODY and is_bound(organisation, person, month)
            if bound or figure.done > 0:
                rows[quota, "person", person, period] = figure
    for unit, credited in _by_unit(organisation, work).items():
        for quota, figure in _unit_month(organisation, unit, credited, forums, month).items():
            rows[quota, "unit", unit, period] = figure
    rows.update(_blog_accounts(organisation, works, month, month, period))
    return rows


def _person_month(
    organisation: Organisation, person: str, work: Work, forums: list[str], month: list[date]
) -> dict[str, Figure]:
    due = due_days(organisation, person, month)
    result: dict[str, Figure] = {}
    for quota, (measure, target) in MONTHLY.items():
        result[quota] = Figure(Fraction(measure(work)), share(target, due, month), tuple(due))
    posts = nested.forum_posts(work, forums)
    result["H-29a"] = Figure(Fraction(nested.h_29a(posts)), share(2, due, month), tuple(due))
    result["H-29b"] = Figure(*nested.h_29b(posts, due, month), tuple(due))
    dues = nested.blog_dues(organisation, "H-32a", person, work, month)
    result["H-32a"] = Figure(*nested.h_32a(dues, work, month), tuple(due))
    for quota in ("H-32e", "H-32f"):
        dues = nested.blog_dues(organisation, quota, person, work, month)
        result[quota] = Figure(*nested.h_32ef(quota, dues, work, month), tuple(due))
    return result


def _unit_month(
    organisation: Organisation, unit: str, credited: Work, forums: dict[str, list[str]], month: list[date]
) -> dict[str, Figure]:
    """ "A unit's total is the measure over the credited events: quantities summed; distinct accounts of the unit (not a
    sum over people); 32a (person, account, day)s posted; 29b, 32e, 32f uncapped (29a, 29b inside each person's five
    forums, chosen over the whole month)". Only H-27 and H-28 are due by a unit."""
    done = {quota: measure(credited) for quota, (measure, _) in MONTHLY.items()}
    posts = [a for a in credited if a.type == "forum.post" and a.platform in forums[a.subject]]
    done["H-29a"] = nested.h_29a(posts)
    done["H-29b"] = sum(activity.quantity for activity in posts)
    done["H-32a"] = _unit_posted(credited)
    for quota in ("H-32e", "H-32f"):
        done[quota] = sum(activity.quantity for activity in credited if nested.counts_for(quota, activity))
    result = {quota: Figure(Fraction(total), NO_TARGET) for quota, total in done.items()}
    for quota, (measure, target) in GROUP_MONTHLY.items():
        bound = unit in bound_groups(organisation)
        result[quota] = Figure(Fraction(measure(credited)), Fraction(target if bound else 0), tuple(month))
    return result


def _unit_posted(credited: Work) -> int:
    return len({(a.subject, a.account, a.day) for a in credited if nested.counts_for("H-32a", a)})


def _blog_accounts(
    organisation: Organisation, works: dict[str, Work], month: list[date], days: list[date], period: str
) -> dict[Key, Figure]:
    """ "Account rows of 32a, e, f exist where done or due > 0." A day has rows of 32a only."""
    rows: dict[Key, Figure] = {}
    for quota in ("H-32a", "H-32e", "H-32f") if period_kind(period) == "month" else ("H-32a",):
        for account, dues in nested.account_dues(organisation, quota, works, month).items():
            if quota == "H-32a":
                done, due = nested.h_32a_account(account, dues, works, days)
            else:
                done, due = nested.h_32ef_account(quota, account, dues, works, month)
            due_on = sorted({day for person_days in dues.values() for day in person_days if day in days})
            if done > 0 or due > 0:
                rows[quota, "account", "/".join(account), period] = Figure(done, due, tuple(due_on))
    return rows


def _day(organisation: Organisation, activities: list[Activity], period: str) -> dict[Key, Figure]:
    day = date.fromisoformat(period)
    month = days_of(month_of(day))
    work = _within(activities, month)
    works = _by_person(organisation, work)
    rows: dict[Key, Figure] = {}
    for person in works:
        dues = nested.blog_dues(organisation, "H-32a", person, works[person], month)
        due = due_days(organisation, person, [day])
        figure = Figure(*nested.h_32a(dues, works[person], [day]), tuple(due))
        if is_bound(organisation, person, [day]) or figure.done > 0:
            rows["H-32a", "person", person, period] = figure
    for unit, credited in _by_unit(organisation, _within(work, [day])).items():
        rows["H-32a", "unit", unit, period] = Figure(Fraction(_unit_posted(credited)), NO_TARGET)
    rows.update(_blog_accounts(organisation, works, month, [day], period))
    return rows


def _week(organisation: Organisation, activities: list[Activity], period: str) -> dict[Key, Figure]:
    week = days_of(period)
    work = _within(activities, week)
    rows: dict[Key, Figure] = {}
    for pair, between in weekly.pairs(work).items():
        due = weekly.pair_due_days(organisation, pair, week)
        figure = Figure(Fraction(weekly.h_32d(between)), weekly.h_32d_due(due, week), tuple(due))
        rows["H-32d", "pair", "+".join(pair), period] = figure
    verified = {(entry["platform"], entry["handle"]) for entry in organisation["accounts"] if entry.get("verified")}
    for account in verified | weekly.updated_accounts(work):
        due = weekly.verified_days(organisation, account, week)
        done = Fraction(weekly.h_33([activity for activity in work if activity.account == account]))
        if due or done > 0:
            rows["H-33", "account", "/".join(account), period] = Figure(done, weekly.h_33_due(due, week), tuple(due))
    for unit, credited in _by_unit(organisation, work).items():  # "32d, 33 by the subject's unit"
        rows["H-32d", "unit", unit, period] = Figure(Fraction(weekly.h_32d(credited)), NO_TARGET)
        rows["H-33", "unit", unit, period] = Figure(Fraction(weekly.h_33(credited)), NO_TARGET)
    return rows
