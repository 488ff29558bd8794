"""How often is asked: slow answers, full listings, failures, and what a server asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qostui.domain.errors import ConnectionProblem, DeniedProblem, OverloadProblem, Problem
from qostui.services.pace import Pace, Truce, backoff, interval, sweep_period

from .test_polling import HandClock

PACE = Pace(interval=2.0)
CUT = ConnectionProblem("the answer broke off")


@pytest.mark.parametrize(
    ("took", "watched", "seconds"),
    [(0.0, True, 2.0), (0.4, True, 2.0), (3.0, True, 12.0), (3.0, False, 12.0), (0.1, False, 12.0), (90.0, True, PACE.interval_max)],
)
def test_who_answers_slowly_is_asked_more_rarely(took: float, watched: bool, seconds: float) -> None:
    assert interval(took, watched, PACE) == seconds


@pytest.mark.parametrize(("took", "seconds"), [(0.1, 12.0), (2.0, 25.0), (20.0, 250.0), (40.0, 300.0), (120.0, 480.0)])
def test_full_listings_come_every_few_minutes_and_never_fill_the_time(took: float, seconds: float) -> None:
    assert sweep_period(took, PACE) == seconds
    assert took / sweep_period(took, PACE) <= PACE.load_share


def test_waits_double_up_to_a_limit_and_are_spread() -> None:
    assert [backoff(failures, CUT, PACE, 0.5) for failures in (1, 2, 3, 4, 9, 500)] == [2.0, 4.0, 8.0, 16.0, 60.0, 60.0]
    assert (backoff(3, CUT, PACE, 0.0), backoff(3, CUT, PACE, 1.0)) == (6.0, 10.0)


def test_what_waiting_does_not_mend_waits_longer_from_the_start() -> None:
    assert backoff(1, DeniedProblem("no"), PACE, 0.5) == PACE.backoff_hopeless


@pytest.mark.parametrize(
    ("asked", "failures", "chance", "seconds"),
    [
        (30.0, 1, 0.0, 30.0),  # never before the server said
        (30.0, 1, 1.0, 37.5),
        (1.0, 4, 0.5, 16.0),  # and never sooner than without it
        (86400.0, 1, 0.0, PACE.retry_after_max),
        (None, 1, 0.5, 2.0),
    ],
)
def test_a_server_may_say_how_long_to_wait_within_limits(asked: float | None, failures: int, chance: float, seconds: float) -> None:
    problem: Problem = OverloadProblem("HTTP 429", retry_after=asked)
    assert backoff(failures, problem, PACE, chance) == seconds


def test_a_truce_is_never_shortened() -> None:
    clock = HandClock()
    truce = Truce(clock)
    assert truce.left == 0.0
    truce.keep(30.0)
    truce.keep(5.0)
    assert truce.left == 30.0
    clock.seconds = 29.0
    assert truce.left == 1.0
    clock.seconds = 31.0
    assert truce.left == 0.0


def test_the_interval_is_not_stretched_for_those_who_are_quick() -> None:
    assert interval(0.2, True, replace(PACE, interval=60.0)) == 60.0
