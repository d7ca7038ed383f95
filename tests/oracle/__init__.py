"""The oracle: every figure of the handbook, computed the most obvious way from what publishers sent.

It shares no code with the services, on purpose: when a figure of the system differs from the oracle's, one of the two
has read the handbook wrongly or lost something. It keeps no running totals and folds nothing; it reads the whole list
of events and loops over it, once a figure.

    days       local days and periods
    organisation  who was where, absent, registered, verified on a day (over plain dicts)
    intake     which of the delivered CloudEvents stand
    sums       what is done, one function a quota, the handbook's sentence beside it
    dues       what is due, to whom
    nested     the quotas by account (H-29, H-32a, e, f) and by pair and account (H-32d, H-33)
    figures    all rows of a period: `expected` and `expected_status`
    compare    the rows against a running system's public HTTP API
    generator  seeded scenarios; organisations, streams and disturbance beside it
    strategies the same for hypothesis, small

Start with `expected(organisation, deliveries, period)`.
"""

from tests.oracle.figures import Figure, Key, expected, expected_of, expected_status, figures
from tests.oracle.intake import Delivery, Verdict, standing, verdicts

__all__ = [
    "Delivery",
    "Figure",
    "Key",
    "Verdict",
    "expected",
    "expected_of",
    "expected_status",
    "figures",
    "standing",
    "verdicts",
]
