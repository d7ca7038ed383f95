"""Ask a service whether it is ready, with a short patience."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Health:
    """`answered` is false when nobody listens; `detail` is the body of /readyz."""

    answered: bool
    ready: bool
    detail: dict[str, Any] = field(default_factory=dict)


def ready(url: str, timeout: float = 2.0) -> Health:
    """Return what /readyz of a service says."""
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
    try:
        link.request("GET", "/readyz")
        answer = link.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return Health(answered=False, ready=False)
    finally:
        link.close()
    try:
        detail = json.loads(body)
    except ValueError:
        detail = {}
    return Health(answered=True, ready=answer.status == 200, detail=detail if isinstance(detail, dict) else {})
