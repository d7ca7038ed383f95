"""Another team can take contracts/ alone: it imports pydantic and the standard library, its client httpx and nats."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

import contracts

FOLDER = Path(contracts.__file__).parent
ALLOWED = {"pydantic", "contracts"}
OF_THE_CLIENT = {"httpx", "nats"}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add((node.module or "").partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"__future__"}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_module_imports_nothing_more(path: Path) -> None:
    client = path.parent.name == "client"
    assert imported(path) <= (ALLOWED | OF_THE_CLIENT if client else ALLOWED)
    if not client:
        assert "contracts.client" not in path.read_text(encoding="utf-8")


def test_the_package_carries_all_its_folders() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {f"contracts.{path.name}" for path in FOLDER.iterdir() if path.is_dir() and path.name in OWN_FOLDERS}
    assert set(project["tool"]["setuptools"]["packages"]) == {"contracts"} | folders
    assert project["project"]["dependencies"] == ["pydantic>=2.12"]


OWN_FOLDERS = {"client", "schemas", "samples"}
