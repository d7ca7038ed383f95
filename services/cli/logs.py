"""`logs`: the JSON logs of the processes as lines that a person can read."""

from __future__ import annotations

import contextlib
import time
from typing import Annotated

import typer

from deploy.local.instance import Instance
from deploy.local.logfiles import follow, render, tail
from deploy.local.process import RunnerError


def logs(
    service: Annotated[
        str | None, typer.Argument(help="org, activity, kpi, portal, nats, postgres, supervisor")
    ] = None,
    follow_on: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they are written.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines of each.")] = 40,
) -> None:
    """Show the last log lines of one process or of all."""
    instance = Instance.from_environment()
    paths = {path.name.removesuffix(".log"): path for path in sorted(instance.logs.glob("*.log"))}
    if service is not None:
        if service not in paths:
            raise RunnerError(
                "no_such_log", f"there is no log of {service!r}", f"one of: {', '.join(paths) or 'none yet'}"
            )
        paths = {service: paths[service]}
    offsets = {name: path.stat().st_size for name, path in paths.items()}
    shown = [render(line, name) for name, path in paths.items() for line in tail(path, lines)]
    for line in shown:
        print(line)
    with contextlib.suppress(KeyboardInterrupt):
        while follow_on:
            for name, line in follow(paths, offsets):
                print(render(line, name), flush=True)
            time.sleep(0.3)
