"""`levels apply`: loads a version of the tickets' service levels (YAML or JSON), in force from its `effective` on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contracts.service_levels import ServiceLevels
from deploy.local.instance import Instance
from services.cli.access import Access
from services.cli.documents import read_document

app = typer.Typer(help="Service levels: what tickets' customers are promised, as versioned data.", no_args_is_help=True)


@app.callback()
def levels() -> None:
    """A version that stands is never changed: a ticket keeps the one it was opened under."""


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="Service levels; see deploy/handbook/service_levels.yaml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
    role: Annotated[str, typer.Option(help="Whose right is used.")] = "director",
) -> None:
    """Load a version. The same document again changes nothing."""
    found = read_document(file, ServiceLevels, "service_levels")
    if dry_run:
        print(f"{found.title}, version {found.version}, from {found.effective}: {len(found.rules)} rules, in order")
        return
    with Access(Instance.from_environment(), role) as access:
        applied = apply_levels(access, found)
    print(f"version {found.version}, from {found.effective}: {'loaded' if applied else 'stood already'}")


def apply_levels(access: Access, found: ServiceLevels) -> bool:
    """Load a version; return whether that changed anything."""
    headers = {"content-type": "application/json"}
    content = found.model_dump_json().encode()
    return bool(access.call("POST", "tickets", "/v1/service-levels", content=content, headers=headers)["changed"])
