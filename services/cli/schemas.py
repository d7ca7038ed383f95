"""Writes the schemas that need more than the contracts: `python -m services.cli.schemas [--check]`.

The wire form of each activity follows from the handbook's catalogue, OpenAPI from the services' own applications.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from contracts.activity import VOIDED_TYPE, WIRE_PREFIX, ActivityTypeDefined
from contracts.generate import SCHEMAS, bring_up_to_date, report
from contracts.wire import Schema, activity_schema, voided_schema
from services.kernel.settings import Settings

CATALOGUE = Path(__file__).resolve().parents[2] / "deploy" / "handbook" / "catalogue.yaml"
SERVICES = ("org", "activity", "tickets", "kpi")
PREFIXES = (WIRE_PREFIX, "openapi-")


def wire_schemas(catalogue: Path = CATALOGUE) -> dict[str, Schema]:
    """Return file name -> schema of every activity of the catalogue, and of the void."""
    entries = yaml.safe_load(catalogue.read_text(encoding="utf-8"))["types"]
    types = [ActivityTypeDefined.model_validate(entry) for entry in entries]
    files = {f"{WIRE_PREFIX}{entry.name}.json": activity_schema(entry) for entry in types}
    return files | {f"{VOIDED_TYPE}.json": voided_schema()}


def openapi_documents() -> dict[str, dict[str, Any]]:
    """Return file name -> OpenAPI document of every service that has an application."""
    found: dict[str, dict[str, Any]] = {}
    for service in SERVICES:
        if find_spec(f"services.{service}.app") is not None:
            app = import_module(f"services.{service}.app").create(Settings(service=service))
            found[f"openapi-{service}.json"] = app.openapi()
    return found


def is_mine(name: str) -> bool:
    """Tell whether this script answers for a file of the schemas folder."""
    return name.startswith(PREFIXES)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.cli.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a checked-in file is stale")
    check = bool(parser.parse_args(arguments).check)
    files = wire_schemas() | openapi_documents()
    return report(bring_up_to_date(files, SCHEMAS, is_mine, check=check), check=check)


if __name__ == "__main__":
    raise SystemExit(main())
