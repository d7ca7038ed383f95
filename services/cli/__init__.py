"""The command line `opsledger`: one module a command, registered here and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

COMMANDS = {  # command: module of this package; it offers `app` (sub-commands) or a function named like the command
    "init": "instance",
    "up": "instance",
    "down": "instance",
    "status": "status",
    "logs": "logs",
    "token": "token",
    "org": "org",
    "policy": "policy",
    "levels": "levels",
    "publish": "publish",
    "rebuild": "rebuild",
    "keys": "keys",
    "verify": "verify",
    "ledger": "ledger",
    "stream": "stream",
    "demo": "demo",
    "serve": "serve",
}


def main() -> None:
    """Run the command line. `serve` is taken first: a service process needs nothing of the rest."""
    if len(sys.argv) == 3 and sys.argv[1] == "serve" and not sys.argv[2].startswith("-"):
        from services.cli.serve import serve

        serve(sys.argv[2])
        return
    from services.cli.errors import coded

    with coded():
        _build(sys.argv[1:])()


def _build(words: Sequence[str] = ()) -> Callable[[], None]:
    import typer  # only here: a service process does without it

    app = typer.Typer(
        name="opsledger",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def opsledger() -> None:
        """Every figure on a dashboard is a fold over events that nobody can lose, alter or count twice."""

    asked = next((word for word in words if not word.startswith("-")), None)
    for command, name in COMMANDS.items():
        if asked in COMMANDS and command != asked:
            continue  # what another command needs is not imported: half a second and more
        module_name = f"services.cli.{name}"
        if find_spec(module_name) is None:
            continue
        module = import_module(module_name)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=command)
        else:
            app.command(command)(getattr(module, command))
    return app
