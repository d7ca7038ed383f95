"""Organisation files: what a YAML, JSON or CSV file may say, and how it is read. Pure.

YAML (or JSON): one mapping with any of these lists. What a file does not name stays as it is; of a person or an
account that it names, a key left out stays as it is, and an empty list empties. The same file twice changes nothing.

    units:      [{unit, kind: centre|department|group, name_zh, name_en, parent, order}]
    posts:      [{post, name_zh, name_en, unit}]
    people:     [{person, name, memberships: [{unit, post, since, until}],
                  absences: [{since, until, kind}], roles: [{role, unit}]}]
    accounts:   [{platform, handle, owner, client, registered: [{since, until}], verified: [{since, until}]}]
    publishers: [{publisher, title, types: ["forum.post"|"*"], sources, contexts: [activity]}]

Days are local days of the centre (2026-10-17), `until` is the last day included, left out = open. Scalars are taken
as they are written: `person: 0012` is "0012", no number. CSV ("people.csv"): a header with some of
person,name,unit,post,since,until, a line a membership; a person's lines together are the person's whole list.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.org import Absence, Membership, RoleGrant, UnitKind, Validity
from services.kernel.errors import Refusal
from services.org.yaml_text import read_yaml

ERRORS_SHOWN = 100
CSV_COLUMNS = ("person", "name", "unit", "post", "since", "until")


class InvalidFile(Refusal):
    """A file that cannot be applied: every error found (up to 100), the first one as the refusal's own."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(
            first["code"],
            first["detail"] + more,
            status=422,
            field=first.get("field"),
            remedy=first.get("remedy"),
        )
        self.errors = errors[:ERRORS_SHOWN]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UnitEntry(_Entry):
    unit: str
    kind: UnitKind
    name_zh: str
    name_en: str
    parent: str | None = None
    order: int = 0


class PostEntry(_Entry):
    post: str
    name_zh: str
    name_en: str
    unit: str | None = None


class PersonEntry(_Entry):
    person: str
    name: str | None = None
    memberships: list[Membership] | None = None
    absences: list[Absence] | None = None
    roles: list[RoleGrant] | None = None


class AccountEntry(_Entry):
    platform: str
    handle: str
    owner: str | None = None
    client: str | None = None
    registered: list[Validity] | None = None
    verified: list[Validity] | None = None


class PublisherEntry(_Entry):
    publisher: str
    title: str | None = None
    types: list[str] | None = None
    sources: list[str] | None = None
    contexts: list[str] | None = None


class OrganisationFile(_Entry):
    """The content of a file, whatever it was written in."""

    units: list[UnitEntry] = Field(default_factory=list)
    posts: list[PostEntry] = Field(default_factory=list)
    people: list[PersonEntry] = Field(default_factory=list)
    accounts: list[AccountEntry] = Field(default_factory=list)
    publishers: list[PublisherEntry] = Field(default_factory=list)


def read_file(body: bytes, content_type: str) -> OrganisationFile:
    """Return a file's content. Raises InvalidFile: `unreadable_file`, `bad_value`, `duplicate_entry`."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(f"not UTF-8 at byte {error.start}", "Save the file as UTF-8.") from error
    try:
        raw = _read_csv(text) if "csv" in content_type else _read_yaml(text)
    except csv.Error as error:
        raise _unreadable(f"not readable as CSV: {error}", "Check quotes and the length of the cells.") from error
    try:
        file = OrganisationFile.model_validate(raw)
    except ValidationError as error:
        raise InvalidFile([_bad_value(raw, item) for item in error.errors()]) from error
    _refuse_duplicates(file)
    return file


def _read_yaml(text: str) -> Any:
    try:
        raw = read_yaml(text)
    except yaml.YAMLError as error:
        raise _unreadable(" ".join(str(error).split()), "Check the YAML at that place.") from error
    return {key: value if value is not None else [] for key, value in raw.items()} if isinstance(raw, dict) else raw


def _read_csv(text: str) -> dict[str, Any]:
    reader = csv.DictReader(io.StringIO(text))
    columns = [name.strip() for name in reader.fieldnames or ()]
    strange = [name for name in columns if name not in CSV_COLUMNS]
    if strange or "person" not in columns:
        raise _unreadable(f"columns {columns}", f"Use a header with some of {','.join(CSV_COLUMNS)}.")
    reader.fieldnames = columns
    people: dict[str, dict[str, Any]] = {}
    errors: list[dict[str, Any]] = []
    for line, row in enumerate(reader, 2):
        cells = {key: (value or "").strip() for key, value in row.items() if key in CSV_COLUMNS}
        person = people.setdefault(cells["person"], {"person": cells["person"]})
        name = cells.get("name")
        if name and person.setdefault("name", name) != name:
            errors.append(
                {
                    "code": "duplicate_person",
                    "field": f"line {line}.name",
                    "detail": f"{cells['person']} is {person['name']} above and {name} here",
                    "remedy": "A staff number belongs to one person.",
                }
            )
        if "unit" in columns:
            memberships = person.setdefault("memberships", [])
            if cells.get("unit"):
                memberships.append({key: cells[key] for key in ("unit", "post", "since", "until") if cells.get(key)})
    if errors:
        raise InvalidFile(errors)
    return {"people": list(people.values())}


def _unreadable(detail: str, remedy: str) -> InvalidFile:
    return InvalidFile([{"code": "unreadable_file", "detail": detail, "remedy": remedy}])


def _bad_value(raw: Any, item: Any) -> dict[str, Any]:
    return {
        "code": "bad_value",
        "field": ".".join(str(part) for part in item["loc"]) or "file",
        "detail": f"{item['msg']}: {str(item.get('input'))[:80]}",
        "remedy": "See services/org/importing.py or /docs for what a file may say.",
        **({"entry": raw[item["loc"][0]][item["loc"][1]].get("person")} if _is_person(raw, item["loc"]) else {}),
    }


def _is_person(raw: Any, place: tuple[Any, ...]) -> bool:
    return len(place) > 1 and place[0] == "people" and isinstance(raw["people"][place[1]], dict)


def _refuse_duplicates(file: OrganisationFile) -> None:
    keys: dict[str, list[str]] = {
        "unit": [entry.unit for entry in file.units],
        "post": [entry.post for entry in file.posts],
        "person": [entry.person for entry in file.people],
        "account": [f"{entry.platform}/{entry.handle}" for entry in file.accounts],
        "publisher": [entry.publisher for entry in file.publishers],
    }
    errors = []
    for kind, names in keys.items():
        seen: set[str] = set()
        for name in names:
            if name in seen:
                detail = f"{kind} {name!r} stands twice in the file"
                remedy = "Keep one entry; a person's memberships are one list."
                errors.append({"code": f"duplicate_{kind}", "field": kind, "detail": detail, "remedy": remedy})
            seen.add(name)
    if errors:
        raise InvalidFile(errors)
