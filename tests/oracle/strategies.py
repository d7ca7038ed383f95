"""Hypothesis strategies: short lists of deliveries about the small organisation, which shrink to readable examples.

Ids are few on purpose, so that duplicates, conflicts and voids of one another come about by themselves.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.oracle.catalogue import FORMS, PREFIX, VOIDED
from tests.oracle.generator import Scenario, generate
from tests.oracle.intake import Delivery
from tests.oracle.organisation import Organisation
from tests.oracle.small import account, member, organisation, person

ACCOUNTS = [
    ("blog", "b1"),
    ("blog", "b2"),
    ("forum one", "f1"),
    ("forum two", "f1"),
    ("encyclopedia", "e"),
    ("weibo", "w"),
]
TIMES = [
    f"{moment}{fraction}{offset}"
    for moment in ("2026-10-04T23:59:59", "2026-10-05T00:00:00", "2026-10-31T16:00:00", "2026-11-01T12:00:00")
    for fraction in ("", ".9")
    for offset in ("+08:00", "Z", "-05:00")
]


def small_organisation() -> Organisation:
    """The people of `small`, with a joiner, an absence and a move, and the accounts that the strategies write about."""
    return organisation(
        account("blog", "b1", "A", verified=("2026-10-05", None)),
        account("blog", "b2", "B", registered=("2026-10-10", None)),
        account("forum one", "f1", "A"),
        account("forum two", "f1", "A"),
        account("encyclopedia", "e", "A", verified=("2026-01-01", "2026-10-31")),
        account("weibo", "w", "C"),
        people=(
            person("A", member("commercial"), absences=(("2026-10-05", "2026-10-06"),)),
            person("B", member("commercial", until="2026-10-31"), member("channel", since="2026-11-01")),
        ),
    )


@st.composite
def _data(draw: st.DrawFn, type_: str) -> dict[str, Any]:
    word = type_.split(".")[0]
    data: dict[str, Any] = draw(st.sampled_from([{}, {}, {"quantity": 2}, {"quantity": 40}, {"quantity": 0}]))
    data = {**data, **draw(st.sampled_from([{}, {"on_topic": False}]))}
    if type_ == "blog.exchange_comment":
        return {**data, "counterpart": draw(st.sampled_from("ABCD"))}
    fitting = [(platform, handle) for platform, handle in ACCOUNTS if platform.split()[0] == word]
    if fitting:
        platform, handle = draw(st.sampled_from(fitting))
        data |= {"account": handle} | ({} if platform == word else {"platform": platform})
    return data | ({"form": draw(st.sampled_from(FORMS))} if word == "weibo" else {})


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    source = draw(st.sampled_from(["one", "two"]))
    event: dict[str, Any] = {"specversion": "1.0", "id": str(draw(st.integers(1, 6))), "source": source}
    event["time"] = draw(st.sampled_from(TIMES))
    if draw(st.integers(0, 3)) == 0:
        target = {"source": draw(st.sampled_from([source, source, "two"])), "id": str(draw(st.integers(1, 6)))}
        return Delivery(source, {**event, "type": VOIDED, "data": {"target": target, "reason": "mistaken"}})
    blogs = ["blog.original", "blog.reply", "blog.article_comment", "blog.thread_comment", "blog.exchange_comment"]
    type_ = draw(st.sampled_from([*blogs, "forum.post", "encyclopedia.update", "weibo.post", "baidu_qa.answer"]))
    subject = draw(st.sampled_from("ABCDX"))
    return Delivery(source, {**event, "type": PREFIX + type_, "subject": subject, "data": draw(_data(type_))})


def streams(most: int = 12) -> st.SearchStrategy[list[Delivery]]:
    return st.lists(deliveries(), max_size=most)


def scenarios(people: int = 14, events: int = 80) -> st.SearchStrategy[Scenario]:
    return st.integers(0, 2**32 - 1).map(lambda seed: generate(seed, people=people, events=events))
