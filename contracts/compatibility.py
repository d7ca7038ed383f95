"""Holds the published language to its promise: what was released stays readable, for ever.

`python -m contracts.compatibility` compares the checked-in schemas and samples with the last release
(schemas/baseline.json) and fails on a break; `--release` makes the present state the new baseline, if nothing breaks.
A break is: a schema, field, type or enum value removed, a field retyped, newly required or more narrowly limited, a
sample changed. Adding optional fields, values, events and versions is free. A changed meaning is a new version (.v2).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.shapes import Shape, flatten, parent

FOLDER = Path(__file__).parent
NOT_SCHEMAS = ("openapi-", "asyncapi.", "baseline.")
Shapes = dict[str, Shape]


@dataclass(frozen=True)
class Language:
    """All that is promised: schema name -> path -> shape, and sample name -> SHA-256."""

    schemas: dict[str, Shapes]
    samples: dict[str, str]

    def render(self) -> str:
        """Return the baseline file's text, a line for each field, so that a diff shows what a release adds."""
        lines = ['{"schemas": {']
        blocks = []
        for name, shapes in sorted(self.schemas.items()):
            rows = [f"  {_json(path)}: {_json(shape.to_json())}" for path, shape in sorted(shapes.items())]
            blocks.append(f" {_json(name)}: {{\n" + ",\n".join(rows) + "\n }")
        lines.append(",\n".join(blocks))
        lines.append('}, "samples": {')
        lines.append(",\n".join(f" {_json(name)}: {_json(digest)}" for name, digest in sorted(self.samples.items())))
        return "\n".join(lines) + "\n}}\n"


def present(folder: Path = FOLDER) -> Language:
    """Return the language as checked in now."""
    schemas = {
        path.stem: flatten(json.loads(path.read_text(encoding="utf-8")))
        for path in (folder / "schemas").glob("*.json")
        if not path.name.startswith(NOT_SCHEMAS)
    }
    samples = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "samples").glob("*.json")}
    return Language(schemas, samples)


def released(folder: Path = FOLDER) -> Language:
    """Return the language as last released; empty before the first release."""
    path = folder / "schemas" / "baseline.json"
    if not path.exists():
        return Language({}, {})
    plain = json.loads(path.read_text(encoding="utf-8"))
    schemas = {
        name: {path: Shape.from_json(shape) for path, shape in shapes.items()}
        for name, shapes in plain["schemas"].items()
    }
    return Language(schemas, plain["samples"])


def breaks(old: Language, new: Language) -> list[str]:
    """Return a sentence for each promise of `old` that `new` breaks."""
    found: list[str] = []
    for name, shapes in sorted(old.schemas.items()):
        if name not in new.schemas:
            found.append(f"{name}: the schema was removed; keep it and add a new version beside it")
        else:
            found += [f"{name}: {problem}" for problem in schema_breaks(shapes, new.schemas[name])]
    for name, digest in sorted(old.samples.items()):
        if name not in new.samples:
            found.append(f"{name}: its sample was removed; samples are kept for ever")
        elif new.samples[name] != digest:
            found.append(f"{name}: its sample was changed; a released sample shows what old ledgers hold")
    return found


def schema_breaks(old: Shapes, new: Shapes) -> list[str]:
    """Return what a reader or writer of the old schema would stumble over in the new one."""
    found: list[str] = []
    for path, shape in sorted(old.items()):
        if path not in new:
            holder = parent(path)  # a holder removed or retyped is named itself
            if holder in new and new[holder].types == old[holder].types:
                found.append(f"field {path!r} was removed")
        else:
            found += [f"field {path!r} {problem}" for problem in field_breaks(shape, new[path])]
    for path, shape in sorted(new.items()):
        if shape.required and path not in old and parent(path) in old:
            found.append(f"new field {path!r} is required; documents from before it lack it: give it a default")
    return found


def field_breaks(old: Shape, new: Shape) -> list[str]:
    """Return how one field's old promise is broken."""
    found: list[str] = []
    if old.types != new.types:
        found.append(f"was retyped from {_words(old.types)} to {_words(new.types)}")
    if new.enum is not None:
        if old.enum is None:
            found.append(f"took any value and now only {_words(new.enum)}")
        elif old.enum - new.enum:
            found.append(f"lost the value(s) {_words(old.enum - new.enum)}")
    if new.required and not old.required:
        found.append("became required; documents from before lack it")
    for key, value in sorted(new.constraints.items()):
        if old.constraints.get(key) != value:
            found.append(f"has a new limit {key} = {value} (was {old.constraints.get(key, 'none')})")
    return found


def _words(values: set[str]) -> str:
    return ", ".join(sorted(values))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    parser = argparse.ArgumentParser(prog="python -m contracts.compatibility", description=__doc__)
    parser.add_argument("--release", action="store_true", help="make the present state the new baseline")
    release = bool(parser.parse_args(arguments).release)
    new = present(folder)
    found = breaks(released(folder), new)
    for sentence in found:
        sys.stderr.write(f"incompatible: {sentence}\n")
    if found:
        return 1
    if release:
        (folder / "schemas" / "baseline.json").write_text(new.render(), encoding="utf-8")
    sys.stdout.write(
        f"{len(new.schemas)} schemas {'released' if release else 'are compatible with the last release'}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
