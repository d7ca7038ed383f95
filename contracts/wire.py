"""JSON Schemas of the language: ledger events as CloudEvents, and the wire form of activities and tickets.

Pure functions from models to dictionaries; nothing is read or written here.
Sources: JSON Schema 2020-12, CloudEvents 1.0.2 JSON format, the handbook's activity catalogue.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from contracts.activity import VOIDED_TYPE, WIRE_PREFIX, ActivityData, ActivityRef, ActivityTypeDefined
from contracts.registry import context_of
from contracts.ticket_intake import MessageData, OpenedData
from contracts.tickets import MESSAGE_TYPE, OPENED_TYPE

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOT_EMPTY: Schema = {"type": "string", "minLength": 1}
OFFSET_TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"([Zz]|[+-]\d{2}:\d{2})$",
    "description": "RFC 3339 with an offset; sub-seconds are cut",
}


def tolerant(schema: Any) -> Any:
    """Return the schema without `additionalProperties: false`.

    A reader of the published schemas must accept a field that a later release adds, or no field could ever be added.
    """
    if isinstance(schema, dict):
        return {
            key: tolerant(value)
            for key, value in schema.items()
            if not (key == "additionalProperties" and value is False)
        }
    return [tolerant(item) for item in schema] if isinstance(schema, list) else schema


def model_schema(model: type[BaseModel], mode: str = "serialization") -> Schema:
    """Return a self-contained JSON Schema of a document that opsledger answers with."""
    return {
        "$schema": DIALECT,
        **tolerant(model.model_json_schema(mode="serialization" if mode == "serialization" else "validation")),
    }


def event_schema(event_type: str, model: type[BaseModel]) -> Schema:
    """Return the JSON Schema of a ledger event as it stands in a commit: a CloudEvent whose `data` is the model."""
    # "validation" mode: a field with a default may be absent from events that were recorded before it existed.
    data = tolerant(model.model_json_schema(mode="validation"))
    definitions = {**data.pop("$defs", {}), model.__name__: data}
    return {
        "$schema": DIALECT,
        "$id": f"urn:opsledger:{event_type}",
        "title": event_type,
        "description": data.get("description", ""),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": NOT_EMPTY,
            "source": {"const": f"/opsledger/{context_of(event_type)}"},
            "type": {"const": event_type},
            "subject": {"type": ["string", "null"], "description": "the aggregate that the event belongs to"},
            "time": {"type": "string", "format": "date-time"},
            "data": {"$ref": f"#/$defs/{model.__name__}"},
        },
        "$defs": definitions,
    }


def activity_schema(definition: ActivityTypeDefined) -> Schema:
    """Return the JSON Schema of what a publisher sends for one catalogue entry."""
    data = ActivityData.model_json_schema(mode="validation")
    properties: Schema = {name: _plain(field) for name, field in data["properties"].items()}
    for need in definition.needs:
        properties[need] = _needed(properties.get(need, NOT_EMPTY))
    return _wire(
        WIRE_PREFIX + definition.name,
        f"{definition.name_en} ({definition.name_zh}), {definition.row}",
        {"type": "object", "required": sorted(definition.needs), "properties": properties},
        subject_needed=True,
    )


def voided_schema() -> Schema:
    """Return the JSON Schema of a void: it takes the counts of its target back, before or after it."""
    target = {**tolerant(ActivityRef.model_json_schema()), "properties": {"source": NOT_EMPTY, "id": NOT_EMPTY}}
    data = {"type": "object", "required": ["reason", "target"], "properties": {"target": target, "reason": NOT_EMPTY}}
    return _wire(VOIDED_TYPE, "takes the counts of an earlier or later activity back", data, subject_needed=False)


def ticket_schemas() -> dict[str, Schema]:
    """Return type -> JSON Schema of what a publisher sends about tickets. Fields that are not named are refused."""
    models: dict[str, type[BaseModel]] = {OPENED_TYPE: OpenedData, MESSAGE_TYPE: MessageData}
    schemas = {}
    for name, model in models.items():
        data = model.model_json_schema(mode="validation")
        definitions = data.pop("$defs", {})
        schema = _wire(name, str(data.pop("description")), data, subject_needed=False)
        schema["properties"]["subject"] = {"type": ["string", "null"], "description": "not read"}
        schemas[name] = {**schema, "$defs": definitions}
    return schemas


def _wire(name: str, description: str, data: Schema, *, subject_needed: bool) -> Schema:
    required = ["specversion", "id", "source", "type", "time", "data"] + (["subject"] if subject_needed else [])
    return {
        "$schema": DIALECT,
        "$id": f"urn:{name.replace('.', ':')}",
        "title": name,
        "description": description,
        "type": "object",
        "required": sorted(required),
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**NOT_EMPTY, "description": "unique within the source, for ever"},
            "source": {**NOT_EMPTY, "description": "the publisher, or a source that it may speak as"},
            "type": {"const": name},
            "subject": {**NOT_EMPTY, "description": "the person's staff number"},
            "time": OFFSET_TIME,
            "datacontenttype": {"const": "application/json"},
            "data": data,
        },
    }


def _needed(field: Schema) -> Schema:
    """Return a field's schema where it may be neither absent, null nor empty."""
    present = next((branch for branch in field.get("anyOf", ()) if branch != {"type": "null"}), field)
    present = {key: value for key, value in present.items() if key != "default"}
    return present | NOT_EMPTY if present.get("type") == "string" and "enum" not in present else present


def _plain(field: Schema) -> Schema:
    """Return a field's schema without pydantic's title, which repeats the name."""
    return {key: value for key, value in field.items() if key != "title"}
