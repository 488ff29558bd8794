"""Warnings before a credential ends: each threshold once, whatever clocks and sleep do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qostui.domain.credential import Credential
from qostui.services.warnings import THRESHOLDS, Ending, Watch, sentences

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def proxy(left: timedelta, life: timedelta | None = 30 * DAY, **values: object) -> Credential:
    """A proxy that has so much left at NOW."""
    begins = None if life is None else NOW + left - life
    row = {"id": "2 proxy", "kind": "X.509 proxy", "who": "alice", "source": "/p", "expires": NOW + left, "not_before": begins}
    return Credential(**(row | values))  # type: ignore[arg-type]


def told(watch: Watch, row: Credential, *moments: timedelta) -> list[timedelta | None]:
    """The threshold that each look tells, looks being so long after NOW."""
    found = []
    for moment in moments:
        endings = watch.look([row], NOW + moment)
        assert len(endings) <= 1
        found.append(endings[0].threshold if endings else None)
    return found


def test_each_threshold_is_told_once_as_it_is_crossed() -> None:
    row, watch = proxy(2 * DAY), Watch()
    looks = [0 * HOUR, 24 * HOUR, 25 * HOUR, 47 * HOUR, 47.5 * HOUR, 47 * HOUR + 50 * MINUTE, 47 * HOUR + 59 * MINUTE, 49 * HOUR]
    assert told(watch, row, *looks) == [None, DAY, None, HOUR, None, 10 * MINUTE, None, None]


def test_after_a_sleep_over_several_only_the_most_urgent_is_told() -> None:
    row, watch = proxy(2 * DAY), Watch()
    assert told(watch, row, 0 * HOUR, 47 * HOUR + 55 * MINUTE, 47 * HOUR + 56 * MINUTE) == [None, 10 * MINUTE, None]


def test_one_that_ended_during_a_sleep_is_told_as_ended() -> None:
    row, watch = proxy(2 * DAY), Watch()
    watch.look([row], NOW)
    (text, severity), *others = sentences(watch.look([row], NOW + 3 * DAY), NOW + 3 * DAY)
    assert not others
    assert "expired 24 h ago" in text
    assert severity == "error"


@pytest.mark.parametrize("left", [50 * MINUTE, 9 * HOUR, 23 * HOUR])
def test_what_was_near_its_end_before_the_console_started_is_left_to_the_header(left: timedelta) -> None:
    assert told(Watch(), proxy(left), 0 * HOUR, 1 * MINUTE) == [None, None]


def test_the_last_minutes_are_told_at_once() -> None:
    assert told(Watch(), proxy(8 * MINUTE), 0 * HOUR, MINUTE) == [10 * MINUTE, None]
    assert told(Watch(), proxy(-MINUTE), 0 * HOUR) == [None], "what has ended before is no news"


def test_a_threshold_longer_than_the_whole_life_is_none() -> None:
    row, watch = proxy(20 * MINUTE, life=20 * MINUTE), Watch()
    assert told(watch, row, 0 * HOUR, 5 * MINUTE, 11 * MINUTE) == [None, None, 10 * MINUTE]
    assert told(Watch(), proxy(12 * HOUR, life=12 * HOUR), 0 * HOUR, 1 * HOUR, 11.5 * HOUR) == [None, None, HOUR]


def test_a_renewed_one_warns_again() -> None:
    watch = Watch()
    assert told(watch, proxy(2 * HOUR), 0 * HOUR, 1.5 * HOUR) == [None, HOUR]
    assert told(watch, proxy(14 * HOUR, life=12.5 * HOUR), 1.5 * HOUR, 13.5 * HOUR) == [None, HOUR]


def test_a_renewed_one_without_a_beginning_does_not_warn_at_its_birth() -> None:
    watch = Watch()
    assert told(watch, proxy(2 * HOUR, life=None), 0 * HOUR, 1.5 * HOUR) == [None, HOUR]
    assert told(watch, proxy(13 * HOUR, life=None), 1.5 * HOUR, 12.5 * HOUR) == [None, HOUR]


def test_sessions_that_renew_themselves_and_endless_ones_do_not_warn() -> None:
    rows = [proxy(2 * HOUR, renews=True), Credential("5", "Pass word", "ops", "file")]
    watch = Watch()
    for moment in (0 * HOUR, HOUR, 1.9 * HOUR, 3 * HOUR):
        assert watch.look(rows, NOW + moment) == []


def test_a_clock_that_is_trimmed_tells_nothing_twice() -> None:
    row, watch = proxy(2 * HOUR), Watch()
    looks = [minutes * MINUTE for minutes in (0, 60, 59, 60, 58, 61)]
    assert told(watch, row, *looks) == [None, HOUR, None, None, None, None]


def test_a_clock_that_jumps_ahead_and_back_still_warns_when_it_is_time() -> None:
    row, watch = proxy(30 * HOUR), Watch()
    assert told(watch, row, 0 * HOUR, 29 * HOUR + 55 * MINUTE) == [None, 10 * MINUTE], "as far as anybody can tell"
    assert told(watch, row, HOUR, 6 * HOUR, 29 * HOUR, 29 * HOUR + 51 * MINUTE) == [None, DAY, HOUR, 10 * MINUTE]


def test_one_that_is_gone_is_forgotten() -> None:
    row, watch = proxy(2 * HOUR), Watch()
    assert told(watch, row, 0 * HOUR, 1.5 * HOUR) == [None, HOUR]
    assert watch.look([], NOW + 1.6 * HOUR) == []
    assert told(watch, row, 1.7 * HOUR) == [None]


@given(
    st.integers(-100, 200_000),
    st.one_of(st.none(), st.integers(1, 3_000_000)),
    st.lists(st.integers(-300_000, 300_000), max_size=12),
)
def test_whatever_the_clock_does_only_thresholds_that_hold_are_told(left: int, life: int | None, looks: list[int]) -> None:
    row, watch = proxy(timedelta(seconds=left), None if life is None else timedelta(seconds=life)), Watch()
    for look in looks:
        now = NOW + timedelta(seconds=look)
        for ending in watch.look([row], now):
            assert ending.threshold in THRESHOLDS
            assert row.expires is not None
            assert row.expires - now <= ending.threshold
    again = NOW + timedelta(seconds=max(looks, default=0))
    watch.look([row], again)
    assert watch.look([row], again) == [], "twice at the same moment tells nothing new"


def test_those_that_end_together_are_told_together_with_what_to_do() -> None:
    rows = [proxy(50 * MINUTE, actions=("proxy", "export")), proxy(50 * MINUTE, id="2 proxy ac0", kind="VOMS AC")]
    assert sentences([Ending(row, HOUR) for row in rows], NOW) == [
        ("▲ X.509 proxy and VOMS AC end in 50 m: press a in Credentials to renew", "warning")
    ]
    ((text, severity),) = sentences([Ending(proxy(5 * MINUTE, source="/tmp/x509up"), THRESHOLDS[0])], NOW)
    assert text == "▲ X.509 proxy ends in 5 m: get a new one where it came from (/tmp/x509up), the console cannot"
    assert severity == "error"
