"""The compatibility check has teeth: each kind of break is caught and named, each kind of addition passes."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts import compatibility
from contracts.compatibility import Language, breaks, present, released, schema_breaks
from contracts.generate import SCHEMAS, render
from contracts.shapes import flatten

UNIT: dict[str, Any] = {
    "type": "object",
    "required": ["unit", "kind"],
    "properties": {
        "unit": {"type": "string"},
        "kind": {"enum": ["centre", "department", "group"], "type": "string"},
        "parent": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "order": {"type": "integer", "minimum": 0},
        "members": {"type": "array", "items": {"$ref": "#/$defs/Member"}},
        "texts": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "$defs": {
        "Member": {"type": "object", "required": ["since"], "properties": {"since": {"type": "string"}}},
    },
}


def changed(change: Callable[[dict[str, Any]], object]) -> list[str]:
    schema = copy.deepcopy(UNIT)
    change(schema)
    return schema_breaks(flatten(UNIT), flatten(schema))


def without(mapping: dict[str, Any], key: str) -> None:
    del mapping[key]


def property_of(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return schema["properties"][name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s["properties"], "unit"), "field 'unit' was removed"),
        (lambda s: without(s["$defs"]["Member"]["properties"], "since"), "field 'members[].since' was removed"),
        (lambda s: property_of(s, "unit").update(type="integer"), "field 'unit' was retyped from string to integer"),
        (lambda s: property_of(s, "parent").update(anyOf=[{"type": "string"}]), "field 'parent' was retyped"),
        (lambda s: property_of(s, "members").update(items={"type": "string"}), "field 'members[]' was retyped"),
        (
            lambda s: property_of(s, "texts").update(additionalProperties={"type": "integer"}),
            "field 'texts{}' was retyped from string to integer",
        ),
        (lambda s: property_of(s, "kind")["enum"].remove("group"), "field 'kind' lost the value(s) group"),
        (lambda s: property_of(s, "unit").update(enum=["a"]), "field 'unit' took any value and now only a"),
        (lambda s: s["required"].append("order"), "field 'order' became required"),
        (
            lambda s: (s["properties"].update(fresh={"type": "string"}), s["required"].append("fresh")),
            "new field 'fresh' is required",
        ),
        (lambda s: property_of(s, "order").update(minimum=1), "field 'order' has a new limit integer.minimum = 1"),
        (lambda s: property_of(s, "unit").update(pattern="^a"), "field 'unit' has a new limit string.pattern = ^a"),
    ],
)
def test_a_break_is_named(change: Callable[[dict[str, Any]], object], message: str) -> None:
    found = changed(change)
    assert len(found) == 1
    assert found[0].startswith(message)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["properties"].update(fresh={"type": "string"}),
        lambda s: property_of(s, "kind")["enum"].append("team"),
        lambda s: s["required"].remove("kind"),
        lambda s: without(property_of(s, "order"), "minimum"),
        lambda s: s["properties"].update(
            fresh={"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
        ),
        lambda s: s.update(description="said better"),
    ],
)
def test_an_addition_is_free(change: Callable[[dict[str, Any]], object]) -> None:
    assert changed(change) == []


def test_a_removed_schema_and_a_removed_or_changed_sample_are_breaks() -> None:
    old = Language({"org.a.v1": flatten(UNIT)}, {"org.a.v1": "11", "org.b.v1": "22"})
    found = breaks(old, Language({}, {"org.b.v1": "33"}))
    assert [sentence.partition(";")[0] for sentence in found] == [
        "org.a.v1: the schema was removed",
        "org.a.v1: its sample was removed",
        "org.b.v1: its sample was changed",
    ]


def test_the_baseline_file_holds_exactly_what_was_released(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "org.unit.v1.json").write_text(render(UNIT), encoding="utf-8")
    assert compatibility.main(["--release"], tmp_path) == 0
    assert released(tmp_path) == present(tmp_path)


def test_a_break_cannot_be_released(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "schemas").mkdir()
    path = tmp_path / "schemas" / "org.unit.v1.json"
    path.write_text(render(UNIT), encoding="utf-8")
    compatibility.main(["--release"], tmp_path)
    path.write_text(render({**UNIT, "properties": {}, "required": []}), encoding="utf-8")
    assert compatibility.main(["--release"], tmp_path) == 1
    assert "incompatible: org.unit.v1: field 'kind' was removed" in capsys.readouterr().err
    assert "kind" in released(tmp_path).schemas["org.unit.v1"]


def test_the_language_as_checked_in_breaks_no_promise() -> None:
    assert (SCHEMAS / "baseline.json").exists()
    assert breaks(released(), present()) == []
