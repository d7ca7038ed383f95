"""The wire form of each activity follows from the handbook's catalogue, and refuses what that refuses."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import contracts
from contracts.activity import VOIDED_TYPE, WIRE_PREFIX, ActivityData
from contracts.generate import SCHEMAS, bring_up_to_date
from services.cli import schemas

SAMPLES = Path(contracts.__file__).parent / "samples"
TYPES = yaml.safe_load(schemas.CATALOGUE.read_text(encoding="utf-8"))["types"]
WIRE = schemas.wire_schemas()


def sample_of(name: str) -> dict:
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def accepts(name: str, document: dict) -> bool:
    return Draft202012Validator(WIRE[f"{name}.json"]).is_valid(document)


def test_checked_in_wire_schemas_are_fresh() -> None:
    stale = bring_up_to_date(WIRE, SCHEMAS, lambda name: name.startswith(WIRE_PREFIX), check=True)
    assert stale == [], "run `make schemas`"


def test_checked_in_openapi_documents_are_fresh() -> None:
    stale = bring_up_to_date(schemas.openapi_documents(), SCHEMAS, lambda name: name.startswith("openapi-"), check=True)
    assert stale == [], "run `make schemas`"


@pytest.mark.parametrize("entry", TYPES, ids=lambda entry: entry["name"])
def test_every_activity_has_a_sample_that_its_schema_and_the_model_accept(entry: dict) -> None:
    name = WIRE_PREFIX + entry["name"]
    sample = sample_of(name)
    assert accepts(name, sample)
    ActivityData.model_validate(sample["data"])
    assert accepts(name, {**sample, "data": {**sample["data"], "a_field_of_our_own": [1]}})


@pytest.mark.parametrize("entry", TYPES, ids=lambda entry: entry["name"])
def test_every_need_is_needed(entry: dict) -> None:
    name = WIRE_PREFIX + entry["name"]
    sample = sample_of(name)
    for need in entry["needs"]:
        absent = {key: value for key, value in sample["data"].items() if key != need}
        assert not accepts(name, {**sample, "data": absent})
        assert not accepts(name, {**sample, "data": {**absent, need: ""}})
    for field in ("subject", "time", "id", "source", "data"):
        assert not accepts(name, {key: value for key, value in sample.items() if key != field})


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 0},
        {"quantity": "3"},
        {"quantity": 1.5},
        {"form": "poster"},
        {"on_topic": "yes"},
        {"title": 5},
    ],
)
def test_fields_of_the_wrong_kind_are_refused(wrong: dict) -> None:
    sample = sample_of(f"{WIRE_PREFIX}weibo.post")
    assert not accepts(f"{WIRE_PREFIX}weibo.post", {**sample, "data": {**sample["data"], **wrong}})


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("2026-10-17T14:00:00+08:00", True),
        ("2026-10-17T06:00:00Z", True),
        ("2026-10-17T06:00:00.123456-05:30", True),
        ("2026-10-17T06:00:00", False),
        ("2026-10-17", False),
    ],
)
def test_a_time_without_offset_is_refused(time: str, good: bool) -> None:
    name = f"{WIRE_PREFIX}seo.task"
    assert accepts(name, {**sample_of(name), "time": time}) is good


def test_a_void_needs_a_target_and_a_reason_but_no_subject() -> None:
    sample = sample_of(VOIDED_TYPE)
    assert "subject" not in sample
    assert accepts(VOIDED_TYPE, sample)
    target, reason = sample["data"]["target"], sample["data"]["reason"]
    for data in ({"target": target}, {"reason": reason}, {"target": {"id": "1"}, "reason": reason}):
        assert not accepts(VOIDED_TYPE, {**sample, "data": data})


def test_every_openapi_document_describes_its_refusals_and_routes() -> None:
    for name, document in schemas.openapi_documents().items():
        assert document["openapi"].startswith("3."), name
        assert document["paths"], name
