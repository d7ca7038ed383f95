"""What publishers send about tickets: the `data` of opsledger.ticket.opened and opsledger.ticket.message.

A CloudEvents event carries it; `time` is when the customer turned to us, (source, id) its identity for ever. Names,
contacts and texts are sealed as soon as they are recorded, and kept nowhere else. Source: handbook H-50.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contracts.customers import Attachment, Contact, Content, Side
from contracts.service_levels import Priority, TicketKind

Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class IntakeModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GivenCustomer(IntakeModel):
    """Who turned to us: one that is on record (`id`, or the publisher's own `ref` of earlier), or a new one.

    `ref` is the publisher's key for its customer; what it names is kept as a keyed digest only. A customer that is
    found by its ref stays as it is on record. `person`: the staff number of an inside customer.
    """

    id: Word | None = None
    ref: Word | None = None
    person: Word | None = None
    name: str | None = Field(default=None, min_length=1, max_length=200)
    company: str | None = Field(default=None, max_length=200)
    contacts: list[Contact] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _somebody(self) -> GivenCustomer:
        if not (self.id or self.ref or self.person or self.name):
            raise ValueError("name the customer: id, ref, person or name")
        if self.id and (self.ref or self.person or self.name or self.company or self.contacts):
            raise ValueError("a customer given by id is on record: nothing beside the id is taken")
        return self


class _Written(IntakeModel):
    """At least one of title, text and attachments; a message has no title."""

    text: str | None = Field(default=None, max_length=100_000)
    attachments: list[Attachment] = Field(default_factory=list, max_length=50)


class OpenedData(_Written):
    """opsledger.ticket.opened: a customer turned to us. `unit` answers for it; without one the instance's default."""

    kind: TicketKind
    side: Side = "outside"
    customer: GivenCustomer
    unit: Word | None = None
    project: Word | None = None
    channel: Word
    topic: Word | None = None
    priority: Priority = "normal"
    title: str | None = Field(default=None, max_length=300)

    @model_validator(mode="after")
    def _something(self) -> OpenedData:
        if not (self.title or self.text or self.attachments):
            raise ValueError("nothing is said: give a title or a text")
        return self

    def content(self) -> Content:
        """Return what goes into the seal."""
        return Content(title=self.title, text=self.text, attachments=self.attachments)


class Opening(IntakeModel):
    """The event that opened a ticket, by its identity; no source = the message's own."""

    source: str | None = Field(default=None, min_length=1, max_length=1024)
    id: str = Field(min_length=1, max_length=1024)


class MessageData(_Written):
    """opsledger.ticket.message: the customer wrote again, about a ticket given by number or by what opened it."""

    ticket: Word | None = None
    opened: Opening | None = None

    @model_validator(mode="after")
    def _something(self) -> MessageData:
        if (self.ticket is None) == (self.opened is None):
            raise ValueError("name the ticket, or the event that opened it")
        if not (self.text or self.attachments):
            raise ValueError("nothing is said: give a text")
        return self

    def content(self) -> Content:
        """Return what goes into the seal."""
        return Content(text=self.text, attachments=self.attachments)
