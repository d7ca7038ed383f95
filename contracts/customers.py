"""Customers, and the seal on everything personal: what the tickets ledger may hold about a customer for ever.

Names, contacts and every free text about a customer's affair stand in the ledger sealed with a key of that customer
alone (AES-256-GCM). The keys are in no ledger; destroying one erases the content and leaves log, hashes and
statistics whole. Sources: handbook H-50, H-51; NIST SP 800-38D.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Side = Literal["outside", "inside"]
ErasureCause = Literal["asked_by_customer", "retention", "by_mistake"]


class CustomerModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sealed(CustomerModel):
    """A text that only the holder of the customer's key can read. Never empty: absent content is None."""

    customer: str  # whose key
    box: str  # base64 of nonce (12 bytes) + ciphertext + tag (16 bytes)


class Attachment(CustomerModel):
    """A file kept elsewhere. Its bytes never come here."""

    name: str = Field(max_length=300)
    url: str = Field(max_length=2000)
    size: int = Field(ge=0)  # bytes
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    media_type: str | None = Field(default=None, max_length=100)


class Content(CustomerModel):
    """What is inside a seal about a ticket, a visit or a need: canonical JSON of this."""

    title: str | None = Field(default=None, max_length=300)
    text: str | None = Field(default=None, max_length=100_000)
    attachments: list[Attachment] = Field(default_factory=list, max_length=50)


class Contact(CustomerModel):
    kind: Literal["phone", "mail", "qq", "wechat", "weibo", "address", "other"]
    value: str = Field(min_length=1, max_length=300)


class Profile(CustomerModel):
    """What is inside the seal about the customer: canonical JSON of this."""

    name: str = Field(min_length=1, max_length=200)
    company: str | None = Field(default=None, max_length=200)
    contacts: list[Contact] = Field(default_factory=list, max_length=20)
    note: str | None = Field(default=None, max_length=5000)


class CustomerRegistered(CustomerModel):
    """A customer became known. `person` = staff number of an inside customer; `unit` = an inside customer's unit."""

    event_type: ClassVar[str] = "tickets.customer_registered.v1"
    customer: str
    side: Side
    profile: Sealed
    person: str | None = None
    unit: str | None = None
    by: str
    at: datetime


class CustomerChanged(CustomerModel):
    event_type: ClassVar[str] = "tickets.customer_changed.v1"
    customer: str
    profile: Sealed
    by: str
    at: datetime


class CustomerErased(CustomerModel):
    """The customer's key is destroyed, in this event's own transaction: what it sealed cannot be read any more."""

    event_type: ClassVar[str] = "tickets.customer_erased.v1"
    customer: str
    cause: ErasureCause
    by: str
    at: datetime


CustomerEvent = CustomerRegistered | CustomerChanged | CustomerErased
