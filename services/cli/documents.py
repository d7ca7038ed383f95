"""Reads the documents that are loaded as data (policies, service levels): YAML or JSON, checked against their model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from deploy.local.process import RunnerError

M = TypeVar("M", bound=BaseModel)


def read_document(file: Path, model: type[M], what: str) -> M:
    """Return a file's content. RunnerError `unreadable_file`; `bad_<what>` names the first field that is wrong."""
    try:
        document: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return model.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunnerError("unreadable_file", f"{file}: {error}", "name a document in YAML or JSON") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        remedy = f"contracts/schemas/{model.__name__}.json"
        raise RunnerError(f"bad_{what}", f"{field}: {first['msg']}{more}", remedy) from error
