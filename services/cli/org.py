"""`org apply` and `org publisher-token`: the organisation out of files, and publishers' tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.local.instance import Instance
from deploy.local.process import RunnerError
from services.cli.access import Access

KINDS = {".csv": "text/csv", ".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml"}
SHOWN = 40  # changes that are listed unless all are asked for

app = typer.Typer(help="The organisation: units, people, accounts, publishers.", no_args_is_help=True)


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="YAML, JSON or CSV; see deploy/handbook/organisation.yaml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would change.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; it stands in the ledger.")] = None,
    every: Annotated[bool, typer.Option("--all", help=f"List all changes, not only the first {SHOWN}.")] = False,
    role: Annotated[str, typer.Option(help="Whose right is used; roles need the director's.")] = "director",
) -> None:
    """Apply a file as one decision: all of it or nothing. The same file again changes nothing."""
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise RunnerError("unknown_kind", f"{file} is none of {', '.join(KINDS)}", "save it as one of these")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RunnerError("unreadable", str(error), "name an organisation file") from error
    with Access(Instance.from_environment(), role) as access:
        answer = import_organisation(access, content, kind, dry_run=dry_run, reason=reason)
    changes = answer["changes"]
    for change in changes if every else changes[:SHOWN]:
        print(_line(change))
    if len(changes) > SHOWN and not every:
        print(f"  ... and {len(changes) - SHOWN} more (--all)")
    if not changes:
        print("nothing to change")
        return
    said = "; ".join(f"{kind}: {_counts(actions)}" for kind, actions in answer["summary"].items())
    print(f"{'applied' if answer['applied'] else 'would apply'}: {said}")


def import_organisation(
    access: Access, content: bytes, kind: str, *, dry_run: bool = False, reason: str | None = None
) -> dict[str, Any]:
    """Apply a file; return org's answer: applied, events, summary, changes, positions."""
    params = {"dry_run": str(dry_run).lower()} | ({"reason": reason} if reason else {})
    headers = {"content-type": kind}
    answer: dict[str, Any] = access.call(
        "POST", "org", "/v1/organisation/import", content=content, headers=headers, params=params
    )
    return answer


@app.command("publisher-token")
def publisher_token(
    publisher: Annotated[str, typer.Argument(help="A publisher that an organisation file has named.")],
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one; the old one ends at once.")] = False,
) -> None:
    """Print a publisher's new token. It is shown this once and kept nowhere."""
    with Access(Instance.from_environment(), "operator") as access:
        token = issue_token(access, publisher, rotate=rotate)
    if token is None:
        raise RunnerError("already_issued", f"{publisher} has a token; it was shown once", "--rotate makes a new one")
    print(token)


def issue_token(access: Access, publisher: str, *, rotate: bool) -> str | None:
    """Return a new token of a publisher; None where it has one already and `rotate` is not asked for."""
    path = f"/v1/publishers/{publisher}/token" + ("/rotation" if rotate else "")
    token: str | None = access.call("POST", "org", path)["token"]
    return token


def _line(change: dict[str, Any]) -> str:
    sign = "+" if change["action"] == "add" else "~"
    old, new = change["old"], change["new"]
    values = f"{new}" if old is None else f"{old} -> {new}"
    return f"  {sign} {change['kind']} {change['id']}  {change['field']}: {values}"


def _counts(actions: dict[str, int]) -> str:
    words = {"add": "new", "change": "changed"}
    return ", ".join(f"{count} {words.get(action, action)}" for action, count in actions.items())
