"""Flattens a JSON Schema into its fields, so that two versions of it can be compared field by field.

A field is named by its path: "data.memberships[].unit"; "[]" stands for an array's items, "{}" for a map's values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CONSTRAINTS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "format",
)
Schema = dict[str, Any]


@dataclass
class Shape:
    """What a field may hold. `enum` None = any value of its types."""

    types: set[str] = field(default_factory=set)
    enum: set[str] | None = None
    required: bool = False
    constraints: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the shape as plain data, for the baseline file."""
        plain: dict[str, Any] = {"types": sorted(self.types), "required": self.required}
        if self.enum is not None:
            plain["enum"] = sorted(self.enum)
        if self.constraints:
            plain["constraints"] = dict(sorted(self.constraints.items()))
        return plain

    @staticmethod
    def from_json(plain: dict[str, Any]) -> Shape:
        """Return the shape that `to_json` wrote."""
        enum = plain.get("enum")
        return Shape(
            types=set(plain["types"]),
            enum=None if enum is None else set(enum),
            required=plain["required"],
            constraints=dict(plain.get("constraints", {})),
        )


def flatten(schema: Schema) -> dict[str, Shape]:
    """Return path -> shape of every field of a JSON Schema with local references; the root is ""."""
    shapes: dict[str, Shape] = {}
    _visit(schema, "", schema.get("$defs", {}), shapes, ())
    return shapes


def parent(path: str) -> str:
    """Return the path of the object, array or map that holds a field."""
    for suffix in ("[]", "{}"):
        if path.endswith(suffix):
            return path[: -len(suffix)]
    return path.rpartition(".")[0]


def _visit(schema: Schema, path: str, definitions: Schema, shapes: dict[str, Shape], refs: tuple[str, ...]) -> None:
    reference = schema.get("$ref")
    if reference is not None:
        if reference in refs:  # a recursive model: its fields are already being listed
            return
        name = reference.rpartition("/")[2]
        _visit(definitions[name], path, definitions, shapes, (*refs, reference))
        return
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        for branch in branches:
            _visit(branch, path, definitions, shapes, refs)
        return
    shape = shapes.setdefault(path, Shape())
    _note_values(schema, shape)
    required = set(schema.get("required", ()))
    for name, child in schema.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        _visit(child, below, definitions, shapes, refs)
        if below in shapes:
            shapes[below].required = name in required
    if isinstance(schema.get("items"), dict):
        _visit(schema["items"], f"{path}[]", definitions, shapes, refs)
    if isinstance(schema.get("additionalProperties"), dict):
        _visit(schema["additionalProperties"], f"{path}{{}}", definitions, shapes, refs)


def _note_values(schema: Schema, shape: Shape) -> None:
    """Add one branch's types, values and limits to a field's shape."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    declared = schema.get("type")
    if declared is None:
        types = {_type_of(value) for value in values} if values else {"any"}
    else:
        types = {declared} if isinstance(declared, str) else set(declared)
    free = shape.enum is None and bool(shape.types - {"null"})  # an earlier branch takes any value
    if values is not None and not free:
        shape.enum = (shape.enum or set()) | {str(value) for value in values}
    elif types != {"null"}:
        shape.enum = None
    shape.types |= types
    for key in CONSTRAINTS:
        if key in schema:
            shape.constraints[f"{'|'.join(sorted(types))}.{key}"] = str(schema[key])


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return names.get(type(value), "null")
