"""Writes the checked-in schemas: `python -m contracts.generate`; with `--check` it fails when they are stale.

Everything comes from the models of this folder. Schemas that need more than the models (the activity catalogue, the
services' OpenAPI) are written by their own script, which uses `bring_up_to_date` too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from contracts.activity import IntakeAnswer, Receipt
from contracts.asyncapi import document
from contracts.envelope import CommitMeta
from contracts.kpi import Policy
from contracts.registry import EVENTS
from contracts.service_levels import ServiceLevels
from contracts.wire import Schema, event_schema, model_schema, ticket_schemas

SCHEMAS = Path(__file__).parent / "schemas"
VERSION = "0.1.0"
DOCUMENTS: tuple[type[BaseModel], ...] = (IntakeAnswer, Receipt, CommitMeta)  # what opsledger sends
INPUTS: tuple[type[BaseModel], ...] = (Policy, ServiceLevels)  # what it is given
FROM_ELSEWHERE = ("openapi-", "opsledger.activity.", "baseline.")


def schemas() -> dict[str, Schema]:
    """Return file name -> content of every schema that follows from the models alone."""
    files = {f"{name}.json": event_schema(name, model) for name, model in EVENTS.items()}
    files |= {f"{model.__name__}.json": model_schema(model, "serialization") for model in DOCUMENTS}
    files |= {f"{model.__name__}.json": model_schema(model, "validation") for model in INPUTS}
    files |= {f"{name}.json": schema for name, schema in ticket_schemas().items()}
    files["asyncapi.json"] = document(VERSION)
    return files


def render(content: Mapping[str, Any]) -> str:
    """Return the text of a generated file: stable, readable, Chinese as it is."""
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def bring_up_to_date(
    files: Mapping[str, Mapping[str, Any]], folder: Path, mine: Callable[[str], bool], *, check: bool
) -> list[str]:
    """Write `files` into `folder` and remove what is `mine` but no longer generated; return the names that differed.

    With `check` nothing is touched.
    """
    wanted = {name: render(content) for name, content in files.items()}
    stale: list[str] = []
    for name, text in sorted(wanted.items()):
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    for path in sorted(folder.glob("*.json")):
        if mine(path.name) and path.name not in wanted:
            stale.append(path.name)
            if not check:
                path.unlink()
    return stale


def is_mine(name: str) -> bool:
    """Tell whether this script answers for a file of the schemas folder."""
    return not name.startswith(FROM_ELSEWHERE)


def report(stale: list[str], *, check: bool) -> int:
    """Say what differed; return the exit code."""
    if check and stale:
        sys.stderr.write(f"stale: {', '.join(stale)}\nrun `make schemas` and check the result in\n")
        return 1
    sys.stdout.write(f"{len(stale)} schema file(s) written\n" if stale else "schemas are up to date\n")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m contracts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a checked-in file is stale")
    check = bool(parser.parse_args(arguments).check)
    return report(bring_up_to_date(schemas(), SCHEMAS, is_mine, check=check), check=check)


if __name__ == "__main__":
    raise SystemExit(main())
