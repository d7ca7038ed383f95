"""Structure: what is an activity event at all. Handbook, "Intake", "Time" and "Small print"."""

from __future__ import annotations

import json
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.activity import ActivityData, ActivityHeld, ActivityRecorded, ActivityVoided, VoidAwaited
from contracts.envelope import CloudEvent
from services.activity import facts
from services.activity.structure import Candidate, WireData, read_batch, read_event
from services.kernel.outcomes import Result
from services.kernel.wire import Rejected
from tests.activity.given import post, void

ZONE = ZoneInfo("Asia/Shanghai")


def read(event) -> Candidate | Rejected:
    return read_event(json.dumps(event).encode(), ZONE)


@pytest.mark.parametrize(
    ("event", "code", "field"),
    [
        (post(specversion="0.3"), "not_cloudevents", "specversion"),
        (post(specversion=...), "not_cloudevents", "specversion"),
        (post(id=""), "not_cloudevents", "id"),
        (post(id=7), "not_cloudevents", "id"),
        (post(source=...), "not_cloudevents", "source"),
        (post(type=""), "not_cloudevents", "type"),
        (post(id="a\nb"), "not_cloudevents", None),
        (post(subject=...), "subject_missing", "subject"),
        (post(subject=""), "subject_missing", "subject"),
        (post(time=...), "time_missing", "time"),
        (post(time="2026-10-17T08:30:00"), "time_invalid", "time"),
        (post(time="2026-W42-6T08:30:00Z"), "time_invalid", "time"),
        (post(time="2026-02-30T08:30:00Z"), "time_invalid", "time"),
        (post(data={"quantity": 0}), "quantity_invalid", "data.quantity"),
        (post(data={"quantity": 1.0}), "quantity_invalid", "data.quantity"),
        (post(data={"quantity": "3"}), "quantity_invalid", "data.quantity"),
        (post(data={"quantity": True}), "quantity_invalid", "data.quantity"),
        (post(data={"on_topic": "yes"}), "field_invalid", "data.on_topic"),
        (post(data={"title": 3}), "field_invalid", "data.title"),
        (post(data={"account": "a\x00b"}), "field_invalid", "data.account"),
        (post(data={"form": "poem"}), "form_invalid", "data.form"),
        (post() | {"data": []}, "data_not_object", "data"),
        (post() | {"datacontenttype": "text/plain"}, "data_not_json", "datacontenttype"),
        (void() | {"data": {"target": {"source": "bot", "id": "1"}}}, "void_invalid", "data.reason"),
        (void() | {"data": {"target": {"source": "bot"}, "reason": "r"}}, "void_invalid", "data.target.id"),
        ([], "not_cloudevents", None),
    ],
)  # fmt: skip
def test_a_rejection_has_code_field_and_remedy(event, code, field):
    flaw = read(event)
    assert isinstance(flaw, Rejected)
    assert (flaw.code, flaw.field) == (code, field)
    assert flaw.remedy


def test_a_void_may_lack_a_subject():
    assert isinstance(read(void()), Candidate)


def test_a_flaw_in_one_event_leaves_its_neighbours_alone():
    lone_surrogate = json.dumps(post("2")).replace("an original", "\\ud800")
    document = f"[{json.dumps(post())}, {lone_surrogate}, 7, {json.dumps(post('3'))}]".encode()
    kinds = [type(one) for one in read_batch(document, ZONE)]
    assert kinds == [Candidate, Rejected, Rejected, Candidate]


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2026-10-17T15:59:59.9999999Z", date(2026, 10, 17)),  # sub-seconds are cut, not rounded
        ("2026-10-17T16:00:00Z", date(2026, 10, 18)),
        ("2026-10-17T23:59:59-11:00", date(2026, 10, 18)),
        ("2026-10-17t23:59:59+08:00", date(2026, 10, 17)),
    ],
)
def test_the_day_is_the_local_day_of_the_centre(time, day):
    event = read(post(time=time))
    assert event.day == day
    assert event.at.microsecond == 0


def test_the_same_moment_in_another_offset_is_the_same_content():
    assert read(post()).content == read(post(time="2026-10-17T00:30:00.000Z", extension="x")).content
    assert read(post()).content != read(post(time="2026-10-17T00:30:00.5Z")).content


def test_data_stays_as_sent():
    document = json.dumps(post()).replace('"form": "original"', '"more":  [1.50],"form":"original"').encode()
    assert b'"more":  [1.50]' in bytes(read_event(document, ZONE).raw)


FIELDS = st.sampled_from([*ActivityData.model_fields, "more"])
ANY = st.none() | st.booleans() | st.integers(-2, 3) | st.just(1.0) | st.sampled_from(["", "x", "share", "original"])


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(FIELDS, ANY | st.lists(ANY, max_size=2), max_size=4) | ANY,
    st.dictionaries(
        st.sampled_from(["id", "source", "type", "specversion", "subject"]),
        st.sampled_from(["", "1.0", "x", None, 3, True]),
        max_size=2,
    ),
)
def test_msgspec_and_the_pydantic_contract_give_the_same_verdict(data, changes):
    event = post() | {"data": data} | changes
    try:
        envelope = CloudEvent.model_validate_json(json.dumps(event), strict=True)
        ActivityData.model_validate_json(json.dumps(envelope.data or {}))
        sound = bool(envelope.subject)
    except ValidationError:
        sound = False
    assert isinstance(read(event), Candidate) == sound


def test_the_structs_name_the_fields_of_the_contract():
    assert set(WireData.__struct_fields__) == set(ActivityData.model_fields)
    pairs = [(facts.RecordedData, ActivityRecorded), (facts.HeldData, ActivityHeld), (facts.VoidedData, ActivityVoided)]
    for struct, model in pairs:
        assert set(struct.__struct_fields__) == set(model.model_fields)
    assert set(VoidAwaited.model_fields) < set(facts.VoidedData.__struct_fields__)
    from contracts.activity import IntakeResult

    assert set(Result.__struct_fields__) == set(IntakeResult.model_fields)
