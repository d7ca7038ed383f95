"""Activity events: what publishers send (the wire form) and what the activity ledgers ("activity.<shard>") record.

The wire form is a CloudEvents event of type "opsledger.activity.<name>" (handbook: "Activity catalogue"). A recorded
fact keeps the publisher's `data` exactly as sent; readers take from it what the catalogue names.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

WIRE_PREFIX = "opsledger.activity."
VOIDED_TYPE = "opsledger.activity.voided"
SYSTEM_SOURCE = "/opsledger/console"  # the source of what entitled people do through the system itself

NAME_LENGTH = 200  # characters of a handle, platform, campaign or staff number
MOST_QUANTITY = 10**12

Form = Literal["original", "share", "direct_message"]
Outcome = Literal["recorded", "duplicate", "held", "rejected"]


class ActivityModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ActivityData(BaseModel):
    """The `data` of an activity on the wire: fields of the catalogue; others are allowed and kept."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    account: str | None = Field(default=None, max_length=NAME_LENGTH)
    platform: str | None = Field(default=None, max_length=NAME_LENGTH)
    quantity: int = Field(default=1, ge=1, le=MOST_QUANTITY)
    on_topic: bool = True
    form: Form | None = None
    counterpart: str | None = Field(default=None, max_length=NAME_LENGTH)
    campaign: str | None = Field(default=None, max_length=NAME_LENGTH)
    project: str | None = Field(default=None, max_length=NAME_LENGTH)
    partner: str | None = None
    client: str | None = None
    region: str | None = None
    url: str | None = None
    title: str | None = None
    note: str | None = None


class ActivityRef(ActivityModel):
    source: str
    id: str


class ActivityRecorded(ActivityModel):
    """An activity stands. `type` is the catalogue name ("forum.post"), `time` in UTC, seconds; `day` local."""

    event_type: ClassVar[str] = "activity.recorded.v1"
    source: str
    id: str
    type: str
    subject: str
    time: datetime
    day: date
    data: dict[str, Any]
    publisher: str
    corrects: ActivityRef | None = None
    after_hold: bool = False
    content: str | None = None  # hex digest of the content as sent, where it does not follow from the other fields


class HoldReason(ActivityModel):
    code: Literal["unknown_person", "unknown_counterpart", "unknown_account"]
    key: str  # staff number, or "platform/handle"


class ActivityHeld(ActivityModel):
    """An activity whose person, counterpart or account org does not know yet. It uses up its id and counts nothing."""

    event_type: ClassVar[str] = "activity.held.v1"
    source: str
    id: str
    type: str
    subject: str
    time: datetime
    day: date
    data: dict[str, Any]
    publisher: str
    reasons: list[HoldReason]
    content: str | None = None


class ActivityVoided(ActivityModel):
    """A void took effect. `counted` carries the target's content when it had counted before (or counts and is taken
    back in this same commit), so that a projection subtracts without looking anything up."""

    event_type: ClassVar[str] = "activity.voided.v1"
    target: ActivityRef
    reason: str
    by: str
    void: ActivityRef | None = None  # the voiding event's own identity, where one came over the wire
    counted: ActivityRecorded | None = None
    content: str | None = None  # of the void itself, where it has come in this commit


class VoidAwaited(ActivityModel):
    """A void came before its target; the target's later commit carries both facts."""

    event_type: ClassVar[str] = "activity.void_awaited.v1"
    target: ActivityRef
    reason: str
    by: str
    void: ActivityRef | None = None
    content: str | None = None


class ActivityTypeDefined(ActivityModel):
    """A catalogue entry was added or changed. `needs` are data fields that must be present and not empty."""

    event_type: ClassVar[str] = "activity.type_defined.v1"
    name: str
    row: str
    needs: list[str]
    name_zh: str
    name_en: str
    default_platform: str | None = None
    account_must_be_known: bool = False
    retired: bool = False


ActivityEvent = ActivityRecorded | ActivityHeld | ActivityVoided | VoidAwaited | ActivityTypeDefined


class IntakeResult(ActivityModel):
    """The outcome of one event of an intake request, in the order sent."""

    index: int
    source: str | None = None
    id: str | None = None
    outcome: Outcome
    code: str | None = None  # stable error code of a rejection, or why it is held / a duplicate
    field: str | None = None
    detail: str | None = None
    remedy: str | None = None
    commit: str | None = None  # position: "activity.0:17"
    subject: str | None = None  # what it became or went to: the ticket, "T1042"


class IntakeAnswer(ActivityModel):
    results: list[IntakeResult]
    position: str  # what `at_least` takes, e.g. "activity.0:17"
    trace: str | None = None


class Receipt(ActivityModel):
    """The outcome of an inbox message, on the durable stream receipts.<publisher>.activity."""

    message: str  # the Nats-Msg-Id, or the inbox stream sequence
    results: list[IntakeResult]
