"""`policy apply`: puts a policy document (YAML or JSON) in force from its effective day."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contracts.kpi import Policy
from deploy.local.instance import Instance
from services.cli.access import Access
from services.cli.documents import read_document

app = typer.Typer(help="Policies: duties, quotas and weights as versioned data.", no_args_is_help=True)


@app.callback()
def policies() -> None:
    """A version that stands is never changed: another reading is another version."""


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="A policy, as contracts/schemas/Policy.json describes it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
    role: Annotated[
        str, typer.Option(help="Whose right is used; an approved policy needs the director's.")
    ] = "director",
) -> None:
    """Apply a policy version. The same document again changes nothing."""
    policy = read_policy(file)
    if dry_run:
        print(
            f"{policy.title}, version {policy.version}, from {policy.effective}: {len(policy.quotas)} quotas, in order"
        )
        return
    with Access(Instance.from_environment(), role) as access:
        applied = apply_policy(access, policy)
    print(f"version {policy.version}, from {policy.effective}: {'in force' if applied else 'stood already'}")


def read_policy(file: Path) -> Policy:
    """Return a policy file's content. Raises RunnerError that names the first field that is wrong."""
    return read_document(file, Policy, "policy")


def apply_policy(access: Access, policy: Policy) -> bool:
    """Apply a policy; return whether that changed anything."""
    headers = {"content-type": "application/json"}
    content = policy.model_dump_json().encode()
    answer = access.call("POST", "kpi", "/v1/policies", content=content, headers=headers)
    return bool(answer["data"]["applied"])
