"""`token`: a bearer token for the owner of this instance, in any role."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.local.instance import Instance
from services.cli.access import Access


def token(
    role: Annotated[
        str, typer.Option(help="director, assistant, department_head, group_leader, member, auditor, operator")
    ],
    person: Annotated[str | None, typer.Option(help="Staff number of whom the token speaks for.")] = None,
    unit: Annotated[str | None, typer.Option(help="Unit that a head or a leader answers for.")] = None,
) -> None:
    """Print a bearer token, good for some minutes. Needs to read this instance's secrets."""
    with Access(Instance.from_environment(), role) as access:
        print(access.bearer(person, unit))
