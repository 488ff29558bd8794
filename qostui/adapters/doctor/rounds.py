"""Runs blocking calls side by side, a few at a time, each with a time limit and a cancel of its own; nobody waits for one that hangs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from ...services.feeds import Cancel, Cancelled

T = TypeVar("T")
_LOOK_S = 0.2
"""How often an outer cancel is looked at while nothing ends."""


@dataclass(frozen=True)
class Job(Generic[T]):
    """A call to run, and how long it may take."""

    name: str
    work: Callable[[Cancel], T]
    limit_s: float


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How a job ended: with a value, with an error, or not in time (both None)."""

    job: Job[T]
    value: T | None = None
    error: BaseException | None = None
    overdue: bool = False


class Call:
    """One running job; the `Cancel` that it gets."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._unwanted = False
        self._closers: list[Callable[[], None]] = []

    @property
    def wanted(self) -> bool:
        return not self._unwanted

    def closes(self, close: Callable[[], None]) -> None:
        """Call `close` when cancelled; at once if that has happened already."""
        with self._lock:
            if not self._unwanted:
                self._closers.append(close)
                return
        _quietly([close])

    def cancel(self) -> None:
        """Say that the call is no longer wanted; closing happens in a thread of its own, since it may block."""
        with self._lock:
            if self._unwanted:
                return
            self._unwanted = True
            closers, self._closers = self._closers, []
        if closers:
            Thread(target=_quietly, args=(closers,), name="doctor-close", daemon=True).start()


def _quietly(closers: Sequence[Callable[[], None]]) -> None:
    for close in closers:
        with contextlib.suppress(Exception):
            close()


def run(jobs: Sequence[Job[T]], outer: Cancel, at_once: int) -> Iterator[Outcome[T]]:
    """The outcomes of all jobs, as they end; raises Cancelled once `outer` is no longer wanted.

    A job that is over its limit is cancelled and left alone, and its place is taken by the next. Closing the iterator
    cancels what runs.
    """
    ended: SimpleQueue[tuple[int, Outcome[T]]] = SimpleQueue()
    waiting = list(enumerate(jobs))
    running: dict[int, tuple[Job[T], Call, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number, job = waiting.pop(0)
                call = Call()
                running[number] = (job, call, time.monotonic() + job.limit_s)
                Thread(target=_body, args=(number, job, call, ended), name=f"doctor-{job.name}", daemon=True).start()
            first_due = min(due for _, _, due in running.values())
            with contextlib.suppress(Empty):
                number, outcome = ended.get(timeout=min(max(first_due - time.monotonic(), 0.0), _LOOK_S))
                if running.pop(number, None) is not None:
                    yield outcome
            if not outer.wanted:
                raise Cancelled
            for number, (job, call, due) in list(running.items()):
                if due <= time.monotonic():
                    del running[number]
                    call.cancel()
                    yield Outcome(job, overdue=True)
    finally:
        for _, call, _ in running.values():
            call.cancel()


def _body(number: int, job: Job[T], call: Call, ended: SimpleQueue[tuple[int, Outcome[T]]]) -> None:
    try:
        outcome = Outcome(job, value=job.work(call))
    except BaseException as error:
        outcome = Outcome(job, error=error)
    ended.put((number, outcome))
