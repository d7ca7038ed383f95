"""Fixtures of the kpi service's tests."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml

from tests.kpi.given import World, populate, running

PACK = pathlib.Path(__file__).parents[2] / "deploy" / "handbook" / "policy.yaml"


@pytest.fixture(scope="session")
def policy() -> dict[str, Any]:
    """The handbook's policy as it is posted."""
    document: dict[str, Any] = yaml.safe_load(PACK.read_text())
    return {**document, "effective": str(document["effective"])}


@pytest.fixture
async def world(database, nats_server) -> AsyncIterator[World]:
    """The service, running, with a small organisation."""
    async with running(database, nats_server) as opened:
        await populate(opened)
        yield opened
