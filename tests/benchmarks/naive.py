"""The obvious way to do the same job: a FastStream handler, a pydantic model, an SQLAlchemy session for each message.

Reads activity events from a JetStream subject, records each once and keeps the day's total; ends when it has handled
the number of messages given on the command line.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import date, datetime, timedelta, timezone
from typing import Any

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker
from faststream.security import SASLPlaintext
from pydantic import BaseModel
from sqlalchemy import JSON, DateTime, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

STREAM, SUBJECT = "NAIVE", "naive.events"
ZONE = timezone(timedelta(hours=8))


class Base(DeclarativeBase):
    pass


class Activity(Base):
    __tablename__ = "activity"
    source: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    subject: Mapped[str]
    time: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class DayTotal(Base):
    __tablename__ = "day_total"
    person: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    platform: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    quantity: Mapped[int]


class Event(BaseModel):
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any]


async def run(dsn: str, url: str, count: int) -> None:
    """Handle `count` messages."""
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    session = async_sessionmaker(engine)
    user, _, password = url.removeprefix("nats://").partition("@")[0].partition(":")
    broker = NatsBroker("nats://" + url.rpartition("@")[2], security=SASLPlaintext(user, password), logger=None)
    finished = asyncio.Event()
    handled = 0

    @broker.subscriber(
        SUBJECT, stream=JStream(STREAM, declare=False), durable="naive", ack_policy=AckPolicy.NACK_ON_ERROR
    )
    async def handle(event: Event) -> None:
        nonlocal handled
        async with session() as db, db.begin():
            known = await db.scalar(select(Activity).where(Activity.source == event.source, Activity.id == event.id))
            if known is None:
                db.add(Activity(**event.model_dump()))
                data = event.data
                key = {
                    "person": event.subject, "type": event.type, "platform": data.get("platform", ""),
                    "account": data.get("account", ""), "day": event.time.astimezone(ZONE).date(),
                }  # fmt: skip
                total = await db.get(DayTotal, key, with_for_update=True)
                if total is None:
                    total = DayTotal(**key, quantity=0)
                    db.add(total)
                total.quantity += data.get("quantity", 1)
        handled += 1
        if handled == count:
            finished.set()

    async with broker:
        await broker.start()
        print("ready", flush=True)
        await finished.wait()
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
