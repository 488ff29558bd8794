"""Errands: work that somebody on the screen asked for, done in a lane, with an answer when it ends.

Who asked never waits: he is told in the end, may walk away and still be told, or call the work off.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread
from typing import TypeVar

from ..domain.errors import Problem, ServerProblem
from .feeds import Cancel, Cancelled
from .lanes import Lane, Lanes, too_many_hang

T = TypeVar("T")
Told = Callable[[T | None, Problem | None], None]
"""Called in the errand's thread with what came of it, or with why nothing did; not at all once it is called off."""


class Errand:
    """One piece of work that was begun."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lane: Lane | None = None
        self._off = False

    @property
    def called_off(self) -> bool:
        """Nobody wants it any more."""
        return self._off

    def call_off(self) -> None:
        """Cancel it: what it blocks on is closed, and nobody is told; returns at once."""
        with self._lock:
            self._off = True
            lane = self._lane
        if lane is not None:
            lane.cancel()

    def taken(self, lane: Lane) -> None:
        """The lane that does it has begun. Raises Cancelled when it was called off before."""
        with self._lock:
            self._lane = lane
            if self._off:
                raise Cancelled


def begin(lanes: Lanes, name: str, work: Callable[[Cancel], T], told: Told[T], time_limit_s: float) -> Errand:
    """Begin `work` in a lane of its own; `told` hears how it ended. Returns at once."""
    errand = Errand()
    Thread(target=_run, args=(errand, lanes, name, work, told, time_limit_s), name=f"errand-{name}", daemon=True).start()
    return errand


def _run(errand: Errand, lanes: Lanes, name: str, work: Callable[[Cancel], T], told: Told[T], time_limit_s: float) -> None:
    found: list[T] = []

    def body(lane: Lane) -> None:
        errand.taken(lane)
        found.append(work(lane))

    problem: Problem | None = None
    try:
        if lanes.exhausted:
            raise too_many_hang(lanes.abandoned)
        lanes.run(name, body, time_limit_s)
    except Cancelled:
        return
    except Problem as error:
        problem = error
    except Exception as error:
        # The text of what nobody expected may hold secrets; its type says where to look.
        problem = ServerProblem(f"{name} failed by an error of the console's own ({type(error).__name__})", step="report this")
    if not errand.called_off:
        told(found[0] if found and problem is None else None, problem)
