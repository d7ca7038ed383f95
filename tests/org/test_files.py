"""Organisation files as hostile or careless hands write them: each is refused with a reason, none harms the process."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from services.org.importing import InvalidFile, read_file
from tests.org.conftest import Org

ALIASES = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
PEOPLE = (
    "people:\n- &one {person: A, name: A, memberships: [" + ",".join(["{unit: u, since: 2026-01-01}"] * 1500) + "]}\n"
)


@pytest.mark.parametrize(
    "text",
    [
        "units: " + "[" * 5_000 + "]" * 5_000,
        "units: " + "{a: " * 60 + "1" + "}" * 60,
        "- " * 5_000 + "x",
        ALIASES,
        PEOPLE + "- *one\n" * 3_000,
        "units: &a [*a]",
        "? [a, b]\n: 1",
    ],
    ids=["flow lists", "flow maps", "block lists", "aliases of aliases", "one alias often", "itself", "list as key"],
)
def test_a_yaml_that_grows_without_end_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile) as refused:
        read_file(text.encode(), "application/yaml")
    assert refused.value.code == "unreadable_file"
    assert len(refused.value.detail) < 1_000


def test_a_file_of_a_million_brackets_does_not_end_the_process() -> None:
    script = (
        "from services.org.importing import read_file, InvalidFile\n"
        "try: read_file(b'[' * 1_000_000, 'application/yaml')\n"
        "except InvalidFile as refused: print(refused.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "unreadable_file"), done.stderr[-500:]


def test_a_cell_beyond_the_reader_s_limit_is_told_as_an_unreadable_file() -> None:
    with pytest.raises(InvalidFile) as refused:
        read_file(b"person,name\nA," + b"x" * 200_000, "text/csv")
    assert refused.value.code == "unreadable_file"


def test_aliases_and_many_keys_are_still_read() -> None:
    text = "people:\n- {person: A, name: A, memberships: &m [{unit: u, since: 2026-01-01}]}\n"
    file = read_file(f"{text}- {{person: B, name: B, memberships: *m}}\n".encode(), "application/yaml")
    assert file.people[0].memberships == file.people[1].memberships
    with pytest.raises(InvalidFile) as refused:
        read_file(b"units: []\nposts: []\nunits: []\n", "application/yaml")
    assert "stands twice" in refused.value.detail


async def test_another_reason_under_an_idempotency_key_is_another_request(org: Org, small: str) -> None:
    headers = {"content-type": "application/yaml", "Idempotency-Key": "k"}

    async def send(reason: str) -> httpx.Response:
        path = f"/v1/organisation/import?reason={reason}"
        return await org.call("POST", path, content=small.encode(), headers=headers)

    first = await send("moved")
    assert first.status_code == 200, first.text
    assert (await send("moved")).json()["positions"] == first.json()["positions"]
    other = await send("left")
    assert (other.status_code, other.json().get("code")) == (422, "idempotency_key_reused"), other.text
