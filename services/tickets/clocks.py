"""A ticket's clocks: working seconds used against a promise, with pauses. Pure, and told what the service levels are.

A promise kept to the very second is kept. An instant answered here (warning, breach) always lies inside working time,
and is over only when a later one has come: at any instant, more than the target is used exactly if `breach_at` is past.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from contracts.service_levels import ClockKind
from contracts.tickets import ClockEnded
from services.tickets.working_time import WorkingCalendar


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock's run. `used` = working seconds up to `since` (None: stopped); the flags say what has been said."""

    kind: ClockKind
    target: int | None
    used: int = 0
    since: datetime | None = None
    warned: bool = False
    breached: bool = False


def start(kind: ClockKind, target: int | None, at: datetime) -> Clock:
    return Clock(kind, target, since=at)


def pause(clock: Clock, calendar: WorkingCalendar, at: datetime) -> Clock:
    """Stop the clock; one that is stopped already stays as it is."""
    return replace(clock, used=used_at(clock, calendar, at), since=None)


def resume(clock: Clock, at: datetime) -> Clock:
    """Let the clock go on where it stopped; one that runs already stays as it is."""
    return clock if clock.since is not None else replace(clock, since=at)


def used_at(clock: Clock, calendar: WorkingCalendar, at: datetime) -> int:
    """Return the working seconds that the clock has measured until `at`."""
    return clock.used if clock.since is None else clock.used + calendar.between(clock.since, at)


def retarget(clock: Clock, calendar: WorkingCalendar, target: int | None, at: datetime) -> Clock:
    """Measure the same working seconds against another promise, from `at` on.

    A promise already broken counts as broken under the new target only if that is over too, so that nothing is said
    twice of a smaller target, and a larger one may warn and break again. Under a target that is over already when it
    is set, the breach falls due at `at` or as working time next begins, never before the change.
    """
    used = used_at(clock, calendar, at)
    breached = clock.breached and target is not None and used > target
    eased = target is None or clock.target is None or target > clock.target
    return replace(
        clock,
        target=target,
        used=used,
        since=None if clock.since is None else at,
        warned=clock.warned and (breached or not eased),
        breached=breached,
    )


def warning_at(clock: Clock, calendar: WorkingCalendar, percent: int) -> datetime | None:
    """Return when `percent` of the target will be used up; None: nothing to warn of (any more), or no time before it.

    None too where the warning would be no earlier than the breach.
    """
    if clock.since is None or clock.target is None or clock.warned or clock.breached:
        return None
    share = -(-clock.target * percent // 100)  # rounded up: not before the share is used up
    if max(share, clock.used) >= clock.target:
        return None
    return _reached(calendar, clock.since, share - clock.used)


def breach_at(clock: Clock, calendar: WorkingCalendar) -> datetime | None:
    """Return the last instant at which the promise can be kept, inside working time; None: there is none to break."""
    if clock.since is None or clock.target is None or clock.breached:
        return None
    return _reached(calendar, clock.since, clock.target - clock.used)


def _reached(calendar: WorkingCalendar, since: datetime, seconds: int) -> datetime | None:
    """Return when so many seconds more are used; at once where they are used already, None where they never will be."""
    try:
        return calendar.after(since, max(seconds, 0))
    except ValueError:  # a calendar with no working time to come: a reader must not stop at it
        return None


def ended(clock: Clock, calendar: WorkingCalendar, at: datetime) -> ClockEnded:
    """Return what the clock had measured when it was answered at `at`."""
    used = used_at(clock, calendar, at)
    return ClockEnded(
        clock=clock.kind,
        used=used,
        target=clock.target,
        met=None if clock.target is None else used <= clock.target,
    )
