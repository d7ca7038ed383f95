"""Keys backed up apart: they bring content back, never an erased customer's, and only for a few days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.kernel.errors import Refusal
from services.tickets.key_backup import KeyFile, bring_back, take_keys
from tests.tickets.desk import DIRECTOR, Desk


async def test_keys_come_back_but_for_whom_was_erased_meanwhile(desk: Desk) -> None:
    kept, erased = await desk.customer("甲"), await desk.customer("乙")
    async with desk.db.conn() as conn:
        file = await take_keys(conn, datetime.now(UTC))
    await desk.do("POST", f"/v1/customers/{erased}/erasure", {}, DIRECTOR)
    async with desk.db.tx() as conn:
        await conn.execute("DELETE FROM customer_key")
    assert (await desk.get(f"/v1/customers/{kept}")).json()["data"]["profile"] is None
    file = KeyFile.model_validate_json(file.model_dump_json())
    async with desk.db.tx() as conn:
        assert await bring_back(conn, file, datetime.now(UTC)) == 1
        assert await bring_back(conn, file, datetime.now(UTC)) == 0
    assert (await desk.get(f"/v1/customers/{kept}")).json()["data"]["profile"]["name"] == "甲"
    assert (await desk.get(f"/v1/customers/{erased}")).json()["data"]["profile"] is None


async def test_a_file_that_is_too_old_is_refused(desk: Desk) -> None:
    await desk.customer()
    async with desk.db.tx() as conn:
        file = await take_keys(conn, datetime.now(UTC) - timedelta(days=8))
        with pytest.raises(Refusal, match="keys_expired"):
            await bring_back(conn, file, datetime.now(UTC))
