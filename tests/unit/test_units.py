"""Bytes, spans and times in both directions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qostui.domain import units
from qostui.domain.errors import UsageProblem

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (999_999, "1.0 MB"), (310 * 10**9, "310 GB"), (1_200_000_000_000, "1.2 TB")],
)
def test_bytes(count: int | None, text: str) -> None:
    assert units.bytes_text(count) == text


@given(st.integers(0, 10**24))
def test_bytes_fit_seven_cells(count: int) -> None:
    assert len(units.bytes_text(count)) <= 10


@pytest.mark.parametrize(("text", "count"), [("500", 500), ("1GB", 10**9), ("1.5 TiB", 3 * 2**39), ("2k", 2000), ("7b", 7)])
def test_parses_sizes(text: str, count: int) -> None:
    assert units.parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 XB", "1GB2"])
def test_refuses_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageProblem, match="not a size"):
        units.parse_bytes(text)


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(seconds=9), "9 s"),
        (timedelta(minutes=52), "52 m"),
        (timedelta(hours=9, minutes=12), "9 h 12 m"),
        (timedelta(days=20), "20 d"),
        (timedelta(hours=-3), "expired 3 h ago"),
    ],
)
def test_time_left(left: timedelta, text: str) -> None:
    assert units.left_text(NOW + left, NOW) == text


def test_ages() -> None:
    assert units.age_text(NOW - timedelta(minutes=12), NOW) == "12 m"
    assert units.age_text(NOW + timedelta(seconds=3), NOW) == "now"
    assert units.age_text(None, NOW) == ""
    assert units.parse_duration("2d") == timedelta(days=2)
    with pytest.raises(UsageProblem):
        units.parse_duration("9" * 400 + "d")


@given(st.one_of(st.none(), st.floats(-1, 2)), st.integers(1, 40))
def test_a_bar_is_as_wide_as_asked_and_full_only_when_done(fraction: float | None, width: int) -> None:
    drawn = units.bar(fraction, width)
    assert len(drawn) == width
    assert (drawn == "█" * width) == (fraction is not None and fraction >= 1)


def test_iso() -> None:
    assert units.iso(NOW) == "2026-11-22T12:00:00Z"
    assert units.iso(None) is None
