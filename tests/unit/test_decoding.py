"""Rucio's answers into rows: odd fields, moments, batches, and rows that are made quickly but are like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qostui.adapters.rucio import FLUSH_S, Shared, batches, counts, moment, number, rucio_date, words
from qostui.adapters.rucio_requests import MAX_CALLS, QUIET_ROUNDS, request, to_ask
from qostui.adapters.rucio_rules import rule
from qostui.domain.construct import quick
from qostui.domain.errors import ConnectionProblem
from qostui.domain.request import Request, Totals
from qostui.domain.rule import Rule

# Rows


def example(kind: type) -> dict[str, Any]:
    """A document in which each field of a row has a value of its own."""
    document: dict[str, Any] = {}
    for position, each in enumerate(fields(kind)):
        words_ = str(each.type)
        if "datetime" in words_:
            document[each.name] = f"Sun, 22 Nov 2026 19:25:{position:02d} UTC"
        else:
            document[each.name] = position + 1000 if "int" in words_ else True if words_ == "bool" else f"{each.name} {position}"
    return document


@pytest.mark.parametrize(
    ("kind", "read", "unread"), [(Rule, rule, {"length": None}), (Request, request, {"fts": None, "fts_problem": "", "totals": None})]
)
def test_each_field_of_a_row_comes_from_its_own_field_of_the_document(kind: type, read: Any, unread: dict[str, Any]) -> None:
    document = example(kind)
    expected = {name: moment(value) if str(value).startswith("Sun, ") else value for name, value in document.items()} | unread
    row = read(document)
    assert {each.name: getattr(row, each.name) for each in fields(kind)} == expected
    assert type(row) is kind
    assert row == kind(**expected)
    assert hash(row) == hash(kind(**expected))


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ODD = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)


@given(st.dictionaries(st.sampled_from([each.name for each in fields(Rule)]), ODD, max_size=6))
def test_odd_fields_never_hide_a_rule(document: dict[str, Any]) -> None:
    read = rule(json.loads(json.dumps(document)))
    assert isinstance(read.id, str)
    assert all(type(getattr(read, name)) is str for name in ("scope", "name", "account", "state", "rse_expression"))
    assert all(type(getattr(read, name)) is int for name in ("copies", "locks_ok_cnt", "locks_stuck_cnt"))
    assert read.created_at is None or read.created_at.tzinfo is not None
    assert request(document).key == str(document.get("id"))


def test_texts_that_repeat_are_one_object() -> None:
    document = {"error": "no space left", "account": "fair", "locks_ok_cnt": 1234}
    one, other = (rule(json.loads(json.dumps(document | {"id": name}))) for name in "ab")
    assert one.error is other.error
    assert one.account is other.account
    assert one.locks_ok_cnt is other.locks_ok_cnt


def test_shared_values_are_bounded_and_not_confused() -> None:
    shared = Shared(lambda value: number(value) or 0, limit=3)
    assert [shared[value] for value in (True, 1, 1.0, 2, 3, 4, 5)] == [0, 1, 1, 2, 3, 4, 5]
    assert len(shared) <= 3
    assert (words[None], counts[None], words["x"]) == ("", 0, "x")
    with pytest.raises(TypeError):
        shared[[]]


@dataclass(frozen=True, slots=True)
class Small:
    key: str
    value: int = 3


def test_quickly_made_objects_are_like_any_other() -> None:
    made = quick(Small)("a")
    assert type(made) is Small
    assert made == Small("a", 3)
    assert replace(made, value=4) == Small("a", 4)
    assert {made: 1}[Small("a")] == 1
    with pytest.raises(FrozenInstanceError):
        made.value = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        quick(Small)()  # type: ignore[call-arg]


def test_only_classes_of_plain_slots_are_made_quickly() -> None:
    @dataclass(frozen=True, slots=True)
    class Growing:
        items: list[int] = field(default_factory=list)

    with pytest.raises(TypeError):
        quick(Growing)


# Moments


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("Sun, 22 Nov 2026 19:25:34 UTC", datetime(2026, 11, 22, 19, 25, 34, tzinfo=UTC)),
        ("2026-11-22T19:25:34", datetime(2026, 11, 22, 19, 25, 34, tzinfo=UTC)),
        ("2026-11-22T20:25:34+01:00", datetime(2026, 11, 22, 19, 25, 34, tzinfo=UTC)),
        ("Sun, 31 Feb 2026 19:25:34 UTC", None),
        ("Sun, 22 Xyz 2026 19:25:34 UTC", None),
        ("Sun, 22 Nov 2026", None),
        ("Sun, ", None),
        ("soon", None),
        ("", None),
        (None, None),
        (17, None),
        ([], None),
    ],
)
def test_moments_are_aware_or_missing(said: object, means: datetime | None) -> None:
    for _ in range(2):  # read, then remembered
        assert moment(said) == means


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 -- hypothesis wants it so
def test_moments_come_back_from_rucios_way_of_writing_them(at: datetime) -> None:
    assert moment(rucio_date(at)) == at.replace(microsecond=0)


# Batches


def sizes(rows: int, **more: Any) -> list[int]:
    return [len(batch) for batch in batches(range(rows), 100, clock=lambda: 0.0, **more)]


def test_batches_grow_from_the_first_row_on() -> None:
    assert sizes(250) == [100, 100, 50]
    assert sizes(250, first=1) == [1, 2, 4, 8, 16, 32, 64, 100, 23]
    assert sizes(0, first=1) == []


def test_rows_that_trickle_do_not_wait_for_each_other() -> None:
    now = [0.0]

    def slowly() -> Iterator[int]:
        for each in range(6):
            now[0] += FLUSH_S + 0.01
            yield each

    assert [len(batch) for batch in batches(slowly(), 100, 50, clock=lambda: now[0])] == [1] * 6


def test_what_came_before_a_failure_is_handed_out() -> None:
    def breaks() -> Iterator[int]:
        yield 1
        raise ConnectionProblem("broke off")

    listing = batches(breaks(), 100)
    assert next(listing) == [1]
    with pytest.raises(ConnectionProblem):
        next(listing)


# Links


def test_links_in_trouble_are_asked_first_and_quiet_ones_in_turn() -> None:
    totals = {(f"q{n}", "D"): Totals() for n in range(12)} | {
        ("queue", "D"): Totals(queued=9),
        ("fails", "D"): Totals(queued=1, failed_1h=2),
        ("failed", "D"): Totals(queued=1, failed_6h=1),
        ("long", "D"): Totals(queued=50),
    }
    first = to_ask(totals, {}, 0)
    assert [link[0] for link in first[:4]] == ["fails", "failed", "long", "queue"]
    assert len(first) == len(totals) < MAX_CALLS
    before = {link: (each, False) for link, each in totals.items()} | {("q3", "D"): (Totals(), True)}
    turns = [to_ask(totals, before, turn) for turn in range(QUIET_ROUNDS)]
    assert all(("q3", "D") in turn and ("fails", "D") in turn for turn in turns)
    assert all(len(turn) < len(totals) for turn in turns)
    assert {link for turn in turns for link in turn} == set(totals)
    assert ("q5", "D") in to_ask(totals | {("q5", "D"): Totals(done_1h=1)}, before, 0)
