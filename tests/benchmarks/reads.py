"""How long readers wait: the department table, a person's page, the activities behind a figure."""

from __future__ import annotations

import random
import time
from typing import Any

import httpx

from tests.benchmarks import meter
from tests.benchmarks.load import TEAM, people
from tests.benchmarks.product import Product


async def reads(product: Product, count: int) -> dict[str, Any]:
    """Return milliseconds of each kind of question, one after the other over one connection, in random order."""
    everybody = people()
    pick = random.Random(7)
    token = product.reader_token()
    asked: dict[str, list[float]] = {"table": [], "person": [], "explain": []}
    sizes: dict[str, int] = {}
    async with httpx.AsyncClient(
        base_url=product.instance.url("kpi"), timeout=60, headers={"Authorization": f"Bearer {token}"}
    ) as client:
        for number in range(count):
            who = pick.choice(everybody)
            team = f"team-{pick.randrange(len(everybody) // TEAM):02d}"
            questions = {
                "table": f"/v1/table?period={product.month}&unit={team}",
                "person": f"/v1/attainments?period={product.month}&scope=person&id={who}",
                "explain": f"/v1/explain?period={product.month}&scope=person&id={who}&quota=H-29a&limit=50",
            }
            for name, path in questions.items():
                began = time.perf_counter()
                answer = await client.get(path)
                taken = (time.perf_counter() - began) * 1e3
                if answer.status_code != 200:
                    raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
                if number >= len(everybody) // TEAM:  # the first round fills caches
                    asked[name].append(taken)
                sizes[name] = len(answer.content)
    return {name: meter.percentiles(taken) | {"bytes": sizes[name]} for name, taken in asked.items()}
