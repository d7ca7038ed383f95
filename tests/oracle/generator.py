"""Seeded scenarios: an organisation, what publishers send about it, and everything that goes wrong on the way.

    scenario = generate(seed=7, people=24, events=600)
    await apply(scenario.initial)                 # the organisation as first known, an import document
    for step in scenario.steps:                   # in this order: Delivery -> publish, OrgChange -> import
        ...
    expected(scenario.organisation, scenario.deliveries, period) for period in scenario.periods

The same arguments make the same scenario. Where several publishers send at once, only the order of the deliveries that
share an identity matters to the figures (the first valid one stands); `without_conflicts` leaves those out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from tests.oracle.days import periods_touching
from tests.oracle.disturbance import Disturber
from tests.oracle.intake import Delivery
from tests.oracle.organisation import Organisation
from tests.oracle.organisations import OrganisationMaker
from tests.oracle.streams import StreamMaker


@dataclass(frozen=True)
class OrgChange:
    """A document for the org import: whole people or accounts as they are known from here on."""

    document: dict[str, Any]
    why: str


Step = Delivery | OrgChange


@dataclass(frozen=True)
class Scenario:
    seed: int
    initial: Organisation
    organisation: Organisation  # the final state, which the oracle takes
    steps: list[Step]
    days: list[date]

    @property
    def deliveries(self) -> list[Delivery]:
        return [step for step in self.steps if isinstance(step, Delivery)]

    @property
    def changes(self) -> list[OrgChange]:
        return [step for step in self.steps if isinstance(step, OrgChange)]

    @property
    def periods(self) -> list[str]:
        """Every month, week and day of the scenario, and a day beyond either end."""
        around = [self.days[0] - timedelta(days=1), *self.days, self.days[-1] + timedelta(days=1)]
        return periods_touching(around)


def generate(
    seed: int,
    *,
    people: int = 24,
    events: int = 600,
    first: date = date(2026, 2, 24),
    last: date = date(2026, 4, 5),
    disturbance: float = 0.4,
    without_conflicts: bool = False,
) -> Scenario:
    """Make a scenario of about `events` activities from `first` to `last`, disturbed by `disturbance` times as many
    further deliveries. All times lie in the past of any machine that runs this, but for those meant to be rejected."""
    random = Random(seed)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    received = datetime.combine(last + timedelta(days=2), time(), UTC)
    made = OrganisationMaker(random, people, days).make()
    stream = StreamMaker(random, made.final, days, received).make(events)
    disturber = Disturber(random, made.final, days, received, without_conflicts=without_conflicts)
    placed: list[tuple[float, int, Step]] = [
        (moment, number, delivery)
        for number, (moment, delivery) in enumerate(disturber.disturb(stream, round(events * disturbance)))
    ]
    for number, (document, why) in enumerate(made.changes):
        placed.append((random.uniform(0.2, 0.95) * len(stream), -1 - number, OrgChange(document, why)))
    steps = [step for _, _, step in sorted(placed, key=lambda entry: entry[:2])]
    return Scenario(seed, made.initial, made.final, steps, days)
