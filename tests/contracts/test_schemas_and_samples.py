"""Every event has a schema and a sample; both say the same as its class, and what is checked in is fresh."""

import json
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

import contracts
from contracts import generate
from contracts.envelope import CloudEvent
from contracts.registry import CONTEXTS, EVENTS, context_of

FOLDER = Path(contracts.__file__).parent
SAMPLES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / "samples").glob("*.json")}


def schema_of(name: str) -> dict:
    return json.loads((FOLDER / "schemas" / f"{name}.json").read_text(encoding="utf-8"))


def complaints(name: str, document: object) -> list[str]:
    validator = Draft202012Validator(schema_of(name), format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(document)]


def test_checked_in_schemas_are_fresh() -> None:
    stale = generate.bring_up_to_date(generate.schemas(), generate.SCHEMAS, generate.is_mine, check=True)
    assert stale == [], "run `make schemas`"


def test_a_stale_or_left_over_schema_is_noticed(tmp_path: Path) -> None:
    assert generate.bring_up_to_date(generate.schemas(), tmp_path, generate.is_mine, check=False)
    (tmp_path / "org.unit_defined.v1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "org.gone.v1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "openapi-org.json").write_text("{}", encoding="utf-8")
    stale = generate.bring_up_to_date(generate.schemas(), tmp_path, generate.is_mine, check=True)
    assert stale == ["org.unit_defined.v1.json", "org.gone.v1.json"]


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_every_event_has_a_sample_that_its_class_and_its_schema_accept(event_type: str) -> None:
    sample = SAMPLES[event_type]
    envelope = CloudEvent.model_validate(sample)
    assert (envelope.type, envelope.source) == (event_type, f"/opsledger/{context_of(event_type)}")
    event = EVENTS[event_type].model_validate(envelope.data)
    assert complaints(event_type, sample) == []
    assert complaints(event_type, {**sample, "data": event.model_dump(mode="json")}) == []


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_sample_fits_the_schema_of_its_name(name: str) -> None:
    assert SAMPLES[name]["type"] == name
    assert complaints(name, SAMPLES[name]) == []


@pytest.mark.parametrize("path", sorted((FOLDER / "schemas").glob("*.v*.json")), ids=lambda path: path.stem)
def test_every_schema_is_itself_valid_and_open_to_later_fields(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    sample = SAMPLES[path.stem]
    assert complaints(path.stem, {**sample, "data": {**sample["data"], "a_later_field": 1}}) == []


def test_a_schema_refuses_what_its_class_refuses() -> None:
    sample = SAMPLES["activity.recorded.v1"]
    for broken in ({"source": None}, {"subject": 1001}, {"data": []}):
        document = {**sample, "data": {**sample["data"], **broken}}
        with pytest.raises(ValueError, match="validation error"):
            EVENTS["activity.recorded.v1"].model_validate(document["data"])
        assert complaints("activity.recorded.v1", document)


@pytest.mark.parametrize("context", sorted(CONTEXTS))
def test_event_types_are_named_after_their_context_and_carry_a_version(context: str) -> None:
    modules = [module for name, module in sys.modules.items() if name.startswith("contracts.")]
    everything = [cls for module in modules for cls in vars(module).values() if isinstance(cls, type)]
    events = {cls for cls in everything if "event_type" in vars(cls)}
    classes = [cls for cls in events if context_of(cls.event_type) == context]
    assert {cls.event_type for cls in classes} == set(CONTEXTS[context]), "an event class is missing in the union"
    for name in CONTEXTS[context]:
        first, _, version = name.split(".")
        assert (first, version[0], version[1:].isdigit()) == (context, "v", True)
