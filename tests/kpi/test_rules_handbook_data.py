"""The handbook pack as data: every id is carried, and every quota says what the handbook says."""

from __future__ import annotations

import yaml

from tests.kpi.rules_given import HANDBOOK, quotas, units

TARGETS = {
    "H-26a": 1, "H-26b": 30, "H-26c": 30, "H-27": 10_000, "H-28": 200, "H-29a": 2, "H-29b": 30, "H-30a": 30,
    "H-30b": 30, "H-31a": 30, "H-31b": 30, "H-32a": 1, "H-32b": 5, "H-32d": 30, "H-32e": 30, "H-32f": 30, "H-33": 2,
    "H-35a": 100, "H-35b": 100, "H-35c": 1, "H-35d": 5,
}  # fmt: skip
QUOTA_ROWS = [
    *(f"H-{n}" for n in (20, 21, 22, 23, 24, 25, 34, 40, 41, 42, 43, 54, 55, 60, 61, 62, 71)),
    *(f"H-32{letter}" for letter in "abcdef"),
    *TARGETS,
]


def _rows() -> dict[str, dict[str, str]]:
    document = yaml.safe_load((HANDBOOK / "rows.yaml").read_text(encoding="utf-8"))
    return {row["id"]: row for row in document["rows"]}


def test_every_duty_is_a_quota_with_the_handbooks_target() -> None:
    by_row = {quota.row: quota for quota in quotas().values()}
    assert set(by_row) == set(QUOTA_ROWS)
    assert {row: quota.target for row, quota in by_row.items() if quota.target is not None} == TARGETS


def test_rows_four_to_twelve_bind_the_commercial_and_the_public_interest_group() -> None:
    for quota in quotas().values():
        number = int(quota.row[2:4])
        bound = 23 <= number <= 35 and quota.row != "H-33"  # H-33 is due for verified accounts, whoever updates them
        assert quota.binding.units == (["commercial", "public-interest"] if bound else []), quota.id


def test_every_handbook_id_has_its_sentence_in_both_languages() -> None:
    rows = _rows()
    ids = [f"H-{n:02d}" for n in (1, 2, 3, 4, *range(10, 16), *range(50, 54), *range(70, 76))]
    assert {*ids, *QUOTA_ROWS} <= set(rows)
    assert all(row["zh"] and row["en"] for row in rows.values())


def test_quotas_name_types_of_the_catalogue_only() -> None:
    document = yaml.safe_load((HANDBOOK / "catalogue.yaml").read_text(encoding="utf-8"))
    known = {entry["name"] for entry in document["types"]}
    for quota in quotas().values():
        for selector in (quota.selector, *quota.also):
            assert set(selector.types) <= known, quota.id


def test_the_units_are_the_charts() -> None:
    kinds = [row.kind for row in units()]
    assert (kinds.count("centre"), kinds.count("department"), kinds.count("group")) == (1, 5, 11)


def test_every_quota_has_names_and_a_reading_in_both_languages() -> None:
    for quota in quotas().values():
        assert all((quota.name_zh, quota.name_en, quota.reading_zh, quota.reading_en)), quota.id
