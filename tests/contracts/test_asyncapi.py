"""The AsyncAPI document is well formed, its references lead somewhere, and it names the subjects that are in use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from contracts import asyncapi, envelope, generate, subjects
from contracts.registry import CONTEXTS, EVENTS

DOCUMENT = asyncapi.document("0.1.0")


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_it_is_an_asyncapi_3_document() -> None:
    ApplicationSchema.model_validate(DOCUMENT)
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {operation["action"] for operation in DOCUMENT["operations"].values()} == {"send", "receive"}


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        if reference.startswith("./"):
            assert (Path(generate.SCHEMAS) / reference).exists(), reference
            continue
        node: Any = DOCUMENT
        for word in reference.removeprefix("#/").split("/"):
            node = node[word]


def test_every_ledger_and_every_event_is_on_it() -> None:
    named = {reference.removeprefix("./").removesuffix(".json") for reference in references(DOCUMENT)}
    assert set(EVENTS) <= named
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert {subjects.stream_subject(context) for context in CONTEXTS if context != "activity"} <= addresses
    assert "ledger.activity.{shard}.e1" in addresses


def test_a_commit_names_all_headers_of_the_envelope() -> None:
    headers = {value for name, value in vars(envelope).items() if name.startswith("HEADER_")}
    for context in CONTEXTS:
        assert set(DOCUMENT["components"]["messages"][f"{context}Commit"]["headers"]["properties"]) == headers
