"""How often a feed asks, and how it leaves a struggling server alone: pure functions of times, and one promise they share."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from ..domain.errors import OverloadProblem, Problem
from .ports import Clock


@dataclass(frozen=True)
class Pace:
    """How often a feed asks, in seconds."""

    interval: float = 5.0
    slow_factor: float = 6.0
    """Not watched: this many times slower."""
    interval_max: float = 120.0
    """Slow answers do not stretch the interval beyond this."""
    load_share: float = 0.25
    """Calls may take this share of the time at most: who answers slowly is asked more rarely."""
    sweep_min: float = 12.0
    sweep_max: float = 300.0
    sweep_share: float = 0.08
    """Full listings may take this share of the time between two of them: a small instance is swept often."""
    time_limit: float = 120.0
    backoff_first: float = 2.0
    backoff_max: float = 60.0
    backoff_hopeless: float = 20.0
    """Least wait after a problem that waiting does not mend (refused, denied)."""
    retry_after_max: float = 300.0
    """No server can silence a feed for longer."""
    save_every: float = 60.0


def interval(took: float, watched: bool, pace: Pace) -> float:
    """Seconds from the start of one poll to the next, when the last one took so long."""
    wanted = pace.interval * (1.0 if watched else pace.slow_factor)
    return max(wanted, min(took / pace.load_share, pace.interval_max))


def sweep_period(took: float, pace: Pace) -> float:
    """Seconds from the start of one full listing to the next, when the last one took so long.

    At most `sweep_max`, unless listings would then take more than `load_share` of the time.
    """
    return max(min(max(took / pace.sweep_share, pace.sweep_min), pace.sweep_max), took / pace.load_share)


def backoff(failures: int, problem: Problem, pace: Pace, chance: float) -> float:
    """Seconds to wait after the n-th failure in a row; `chance` (0 to 1) spreads those who failed together.

    Never less than the server asks for (up to `retry_after_max`).
    """
    wait = min(pace.backoff_first * 2.0 ** min(failures - 1, 10), pace.backoff_max)
    if not problem.retry:
        wait = max(wait, pace.backoff_hopeless)
    wait *= 0.75 + 0.5 * chance
    if isinstance(problem, OverloadProblem) and problem.retry_after is not None:
        wait = max(wait, min(problem.retry_after, pace.retry_after_max) * (1.0 + 0.25 * chance))
    return wait


class Truce:
    """What a server has asked of one feed of a profile, kept by all of them: no calls for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._until = 0.0

    def keep(self, seconds: float) -> None:
        """No calls for so long; never shortens what was promised."""
        with self._lock:
            self._until = max(self._until, self._clock.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds until the next call; 0 when one may be made."""
        return max(0.0, self._until - self._clock.monotonic())
