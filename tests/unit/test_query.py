"""The filter and sort language, on rows of the rules view."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qostui.domain import query, sort
from qostui.domain.errors import UsageProblem
from qostui.domain.rule import Rule
from qostui.services.views.rules import VIEW

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rule(name: str, state: str = "OK", **values: object) -> Rule:
    given_values = {"account": "fair", "rse_expression": "QOS=SAFE", "copies": 1, "created_at": NOW - timedelta(hours=3)} | values
    return Rule(id=name, scope="fair", name=name, did_type="DATASET", state=state, **given_values)  # type: ignore[arg-type]


ROWS = (
    rule("run1", "STUCK", error="RequestErrMsg.TRANSFER_FAILED:no space left", locks_stuck_cnt=3, bytes=2 * 10**9, activity="Debug"),
    rule("run2", "REPLICATING", locks_replicating_cnt=4, bytes=5 * 10**8, created_at=NOW - timedelta(days=2)),
    rule("ska9", "OK", locks_ok_cnt=4, bytes=None, account="ska"),
)


def names(text: str) -> list[str]:
    wanted = query.parse(text, VIEW)
    return [row.name for row in ROWS if wanted.matches(row, NOW)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["run1", "run2", "ska9"]),
        ("run", ["run1", "run2"]),
        ("STUCK run", ["run1"]),
        ("state:stuck,replicating", ["run1", "run2"]),
        ("!state:stuck", ["run2", "ska9"]),
        ("!run", ["ska9"]),
        ("!activity:debug", ["run2", "ska9"]),
        ("/run[12]$/", ["run1", "run2"]),
        ("did:/^fair:s/", ["ska9"]),
        ('why:"no space"', ["run1"]),
        ("size>1GB", ["run1"]),
        ("size<=500MB", ["run2"]),
        ("age>1d", ["run2"]),
        ("age<1d account:fair", ["run1"]),
        ("progress<100%", ["run1", "run2"]),
        ("fair:run1", ["run1"]),
    ],
)
def test_finds(text: str, found: list[str]) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stat:stuck", "did you mean state"),
        ("sise>1GB", "did you mean size"),
        ("size>green", "write a size"),
        ("/run[/", "regular expression"),
        ('"open', "close the quotes"),
        ("x" * 501, "shorten"),
    ],
)
def test_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        query.parse(text, VIEW)
    assert says in f"{caught.value.summary} {caught.value.step}"


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_usage_problem(text: str) -> None:
    try:
        wanted = query.parse(text, VIEW)
    except UsageProblem as problem:
        told = (problem.summary, problem.step)
    else:
        told = ("fine", "fine")
        assert {wanted.matches(row, NOW) for row in ROWS} <= {True, False}
    assert all(told)


def test_sorts_most_urgent_first_and_unknown_last() -> None:
    assert [row.name for row in sort.arrange(ROWS, VIEW.order, VIEW)] == ["run1", "run2", "ska9"]
    assert [row.name for row in sort.arrange(ROWS, sort.parse("-size", VIEW), VIEW)] == ["run1", "run2", "ska9"]
    assert [row.name for row in sort.arrange(ROWS, sort.parse("size", VIEW), VIEW)] == ["run2", "run1", "ska9"]
    with pytest.raises(UsageProblem, match="cannot sort by 'colour'"):
        sort.parse("colour", VIEW)
