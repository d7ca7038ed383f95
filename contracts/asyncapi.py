"""The AsyncAPI 3.0 description of the NATS surface: intake, inbox, receipts and the ledger streams.

Written from the contracts alone, so that it says what is promised and not what a broker library happens to do.
"""

from __future__ import annotations

from typing import Any

from contracts import envelope, subjects
from contracts.registry import CONTEXTS

Document = dict[str, Any]
CLOUDEVENTS = {
    "type": "object",
    "description": "CloudEvents 1.0, JSON format; see opsledger.activity.*.json and opsledger.ticket.*.json",
    "required": ["specversion", "id", "source", "type"],
    "properties": {"specversion": {"const": "1.0"}, "id": {"type": "string"}, "source": {"type": "string"}},
}
COMMIT_HEADERS = {
    envelope.HEADER_LEDGER: "ledger id: <name>/<instance>",
    envelope.HEADER_EPOCH: "1 until a restore to an earlier position starts the next",
    envelope.HEADER_NUMBER: "the commit's number = the message's stream sequence",
    envelope.HEADER_PREVIOUS: "hex SHA-256 of the commit before",
    envelope.HEADER_HASH: "hex SHA-256 of this commit",
    envelope.HEADER_ENCODING: "identity | lz4 (LZ4 frame)",
    envelope.HEADER_BODY: "inline | reference: fetch it from the owner's GET /v1/ledger",
    envelope.HEADER_META: "the commit's metadata, ASCII JSON, part of what is hashed",
    envelope.HEADER_TRACE: "W3C trace context",
}


def document(version: str) -> Document:
    """Return the whole AsyncAPI document; schemas are references to the files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "opsledger on NATS",
            "version": version,
            "description": "Publishers send activities and tickets; readers follow the ledgers' streams.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "127.0.0.1:8085",
                "pathname": "/",
                "protocol": "nats",
                "description": "user = publisher name, password = publisher token, inbox prefix _INBOX.<publisher>",
                "security": [{"$ref": "#/components/securitySchemes/publisher"}],
            }
        },
        "channels": {**_publisher_channels(), **_ledger_channels()},
        "operations": {**_publisher_operations(), **_ledger_operations()},
        "components": {
            "messages": {**_publisher_messages(), **_commit_messages()},
            "securitySchemes": {"publisher": {"type": "userPassword", "description": "checked by auth call-out"}},
        },
    }


def _publisher_channels() -> Document:
    streams = ", ".join(subjects.inbox_stream(context) for context in subjects.INBOX_CONTEXTS)
    parameters = {
        "publisher": {"description": "the publisher's name, [a-z0-9-]{1,40}"},
        "context": {"description": "what is sent", "enum": list(subjects.INBOX_CONTEXTS)},
    }
    return {
        "intake": {
            "address": subjects.intake_subject("{publisher}", "{context}"),
            "description": "request: answered after the commit, so nothing acknowledged can be lost",
            "parameters": parameters,
            "messages": {"events": _message("events")},
        },
        "intakeAnswer": {
            "address": None,
            "description": "the request's reply subject",
            "messages": {"answer": _message("answer")},
        },
        "inbox": {
            "address": subjects.inbox_subject("{publisher}", "{context}"),
            "description": f"JetStream streams {streams}; acknowledged by the broker, a receipt follows",
            "parameters": parameters,
            "messages": {"events": _message("events")},
        },
        "receipts": {
            "address": subjects.receipt_subject("{publisher}", "{context}"),
            "description": f"JetStream stream {subjects.RECEIPTS_STREAM}; at least once, after the commit",
            "parameters": parameters,
            "messages": {"receipt": _message("receipt")},
        },
    }


def _publisher_operations() -> Document:
    return {
        "requestIntake": {
            "action": "receive",
            "channel": {"$ref": "#/channels/intake"},
            "messages": [{"$ref": "#/channels/intake/messages/events"}],
            "reply": {
                "address": {"location": "$message.header#/reply", "description": "the NATS reply subject"},
                "channel": {"$ref": "#/channels/intakeAnswer"},
                "messages": [{"$ref": "#/channels/intakeAnswer/messages/answer"}],
            },
        },
        "publishInbox": {
            "action": "receive",
            "channel": {"$ref": "#/channels/inbox"},
            "messages": [{"$ref": "#/channels/inbox/messages/events"}],
        },
        "followReceipts": {
            "action": "send",
            "channel": {"$ref": "#/channels/receipts"},
            "messages": [{"$ref": "#/channels/receipts/messages/receipt"}],
        },
    }


def _publisher_messages() -> Document:
    return {
        "events": {
            "summary": "one event or a batch; binary mode: ce-* headers and `data` as the payload",
            "contentType": envelope.BATCH_CONTENT_TYPE,
            "headers": {"type": "object", "properties": {"Nats-Msg-Id": {"type": "string"}}},
            "payload": {"oneOf": [CLOUDEVENTS, {"type": "array", "items": CLOUDEVENTS, "maxItems": 1000}]},
        },
        "answer": {"summary": "an outcome for each event, in order", "payload": {"$ref": "./IntakeAnswer.json"}},
        "receipt": {"summary": "the outcome of one inbox message", "payload": {"$ref": "./Receipt.json"}},
    }


def _ledger_channels() -> Document:
    channels: Document = {}
    for context in CONTEXTS:
        sharded = context == "activity"
        ledger = f"{context}.{{shard}}" if sharded else context
        stream = subjects.stream_name(ledger.replace("{shard}", "<shard>"))
        channels[f"{context}Ledger"] = {
            "address": subjects.stream_subject(ledger),
            "description": f"JetStream stream {stream}; stream sequence = commit number",
            **({"parameters": {"shard": {"description": "0 .. shards - 1", "default": "0"}}} if sharded else {}),
            "messages": {"commit": _message(f"{context}Commit")},
        }
    return channels


def _ledger_operations() -> Document:
    return {
        f"follow{context.capitalize()}": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{context}Ledger"},
            "messages": [{"$ref": f"#/channels/{context}Ledger/messages/commit"}],
        }
        for context in CONTEXTS
    }


def _commit_messages() -> Document:
    headers = {name: {"type": "string", "description": text} for name, text in COMMIT_HEADERS.items()}
    required = [name for name in COMMIT_HEADERS if name != envelope.HEADER_TRACE]
    return {
        f"{context}Commit": {
            "summary": f"one decision of {context}: 1..n events, one number, one hash",
            "contentType": envelope.BATCH_CONTENT_TYPE,
            "headers": {"type": "object", "required": required, "properties": headers},
            "payload": {"type": "array", "minItems": 1, "items": {"oneOf": _event_refs(context)}},
        }
        for context in CONTEXTS
    }


def _event_refs(context: str) -> list[Document]:
    return [{"$ref": f"./{name}.json"} for name in sorted(CONTEXTS[context])]


def _message(name: str) -> Document:
    return {"$ref": f"#/components/messages/{name}"}
