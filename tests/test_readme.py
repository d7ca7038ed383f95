"""The README's own commands, run as they stand (but for the ports of this test's instance)."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.local.instance import PROJECT
from tests.running import RunningSystem


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningSystem]:
    system = RunningSystem()
    try:
        system.up()
        system.opsledger("demo")
        yield system
    finally:
        system.remove()


def blocks(kind: str, since: str, until: str, name: str) -> str:
    """The README's code of a kind between two headings."""
    text = (PROJECT / name).read_text("utf-8")
    part = text[text.index(since) : text.index(until)]
    return "\n".join(re.findall(rf"```{kind}\n(.*?)```", part, re.DOTALL))


def here(system: RunningSystem, code: str) -> str:
    """The same with this instance's ports and command."""
    code = re.sub(r"127\.0\.0\.1:80(\d\d)", lambda m: f"127.0.0.1:{system.base_port + int(m[1]) - 80}", code)
    return code.replace(".venv/bin/opsledger", f"{shlex.quote(sys.executable)} -m services.cli")


@pytest.mark.parametrize(
    ("name", "publish", "read", "after"),
    [
        ("README.md", "## Publish an event", "## Read an attainment", "## How it works"),
        ("README.zh-CN.md", "## 上报一个事件", "## 读取完成情况", "## 工作原理"),
    ],
)
def test_an_event_is_published_and_read_as_the_readme_says(
    demo: RunningSystem, name: str, publish: str, read: str, after: str
) -> None:
    script = "set -eu\n" + blocks("sh", publish, after, name) + '\necho "TOKEN=$PUBLISHER_TOKEN"'
    if name != "README.md":  # the second time round the publisher has a token
        script = script.replace("publisher-token my-system", "publisher-token my-system --rotate")
    done = subprocess.run(
        ["bash", "-c", here(demo, script)],
        env=demo.environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r'"outcome":"(recorded|duplicate)"', done.stdout), done.stdout
    assert '"quota":"H-31a"' in done.stdout
    assert '"title":"退款迟迟未到"' in done.stdout, done.stdout[-2000:]  # the ticket, read back with what was said
    token = done.stdout.rpartition("TOKEN=")[2].strip()
    code = here(demo, blocks("python", publish, read, name)).replace("PUBLISHER_TOKEN", token)
    answered = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=PROJECT, check=False
    )
    assert re.search(r"'outcome': '(recorded|duplicate)'", answered.stdout), answered.stdout + answered.stderr
