"""Lanes: daemon threads in which one blocking call runs, with a time limit and a cancel that closes what it blocks on.

Nobody ever waits for a lane: quitting and switching cancel it and go on. A lane that does not end after it was
cancelled is abandoned; so many of them at most are borne, then nothing more is started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Event, Lock, Thread

from ..domain.errors import ConnectionProblem, Problem
from .feeds import Cancelled

GRACE_S = 2.0
"""How long a cancelled lane may take to notice before it counts as abandoned."""


class Lane:
    """One running call; the `Cancel` that its source gets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended = Event()
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
        _quietly(close)

    def check(self) -> None:
        """Raises Cancelled when the work is no longer wanted."""
        if self._unwanted:
            raise Cancelled

    def cancel(self) -> None:
        """Say that the work is no longer wanted; returns at once (closing happens in a thread of its own)."""
        with self._lock:
            if self._unwanted:
                return
            self._unwanted = True
            closers, self._closers = self._closers, []
        if closers:
            # Closing a TLS connection may itself block on a dead peer.
            Thread(target=_close_all, args=(closers,), name=f"close-{self.name}", daemon=True).start()


def _close_all(closers: list[Callable[[], None]]) -> None:
    for close in closers:
        _quietly(close)


def _quietly(close: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        close()


class Lanes:
    """All lanes of one profile."""

    def __init__(self, abandoned_limit: int = 8) -> None:
        self._limit = abandoned_limit
        self._lock = Lock()
        self._running: set[Lane] = set()
        self._abandoned: set[Lane] = set()
        self._closed = False

    @property
    def abandoned(self) -> int:
        """Lanes that were cancelled and still hang."""
        return len(self._abandoned)

    @property
    def exhausted(self) -> bool:
        """Nothing more is started, because too many calls hang."""
        return len(self._abandoned) >= self._limit

    @property
    def closed(self) -> bool:
        return self._closed

    def run(self, name: str, work: Callable[[Lane], None], time_limit_s: float) -> None:
        """Run `work` in a lane and wait for it, at most for the time limit; call this from a thread that may wait.

        Raises what `work` raised, Cancelled, or ConnectionProblem when the limit was hit.
        """
        lane = Lane(name)
        failures: list[BaseException] = []

        def body() -> None:
            try:
                work(lane)
            except BaseException as error:
                failures.append(error)
            finally:
                lane.ended.set()
                with self._lock:
                    self._running.discard(lane)
                    self._abandoned.discard(lane)

        with self._lock:
            if self._closed:
                raise Cancelled
            self._running.add(lane)
        Thread(target=body, name=f"lane-{name}", daemon=True).start()
        in_time = lane.ended.wait(time_limit_s)
        if not in_time:
            lane.cancel()
            if not lane.ended.wait(GRACE_S):
                with self._lock:
                    if not lane.ended.is_set():
                        self._abandoned.add(lane)
        if not in_time and not self._closed:
            raise ConnectionProblem(f"no end after {time_limit_s:.0f} s", step="the server is slow or hangs; the console goes on trying")
        if failures:
            raise failures[0]
        if not lane.wanted:
            raise Cancelled

    def cancel(self) -> None:
        """Cancel what runs; returns at once."""
        with self._lock:
            running = list(self._running)
        for lane in running:
            lane.cancel()

    def close(self) -> None:
        """Cancel everything and start nothing more; returns at once."""
        self._closed = True
        self.cancel()


def too_many_hang(count: int) -> Problem:
    """Why a feed is paused."""
    return ConnectionProblem(f"{count} calls hang and cannot be ended", step="switch the profile or restart the console")
