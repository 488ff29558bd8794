"""When the console looks at its feeds: soon after they say that rows came, else once a second for what only time changes.

Looks are some time apart, however fast rows come; until a profile has shown its first rows, and while more have come than
one look may take in, they are closer. Nothing here is a timer of Textual: it would send itself a message for each tick,
and ten ticks a second alone cost a fifth of what an idle table did.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Protocol

from .collector import Collector
from .panes import FeedPane
from .terminal import Line

TICK_EVERY = 1.0
"""Seconds between looks while no rows come, at what time changes: ages, times left, cells that are lit, the header's clock."""
FRAME_APART = 0.9
"""Seconds between two times at which header and tabs are brought up to date; with rows, since painted together they cost half."""
EAGER_EVERY = 0.015
"""Seconds between looks while first rows are expected, or more rows have come than one look may take in."""
EAGER_FOR_S = 3.0
"""Seconds after which the first rows are no longer looked for so often."""


class Beaten(Protocol):
    """What the beat asks of the app."""

    app_focus: bool

    @property
    def pane(self) -> FeedPane | None:
        """The pane that is seen."""

    @property
    def rows_held(self) -> int:
        """Rows in all panes together."""

    def show_frame(self) -> None:
        """Bring header and tabs up to date."""

    def failed(self, error: Exception) -> None:
        """Something was raised where nobody catches: the console ends."""


class Beat:
    """The looks of one console, and between them the garbage collector."""

    def __init__(self, app: Beaten, line: Line) -> None:
        self._app = app
        self._line = line
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: asyncio.TimerHandle | None = None
        self._expected_until = 0.0
        self._looked_at = self._framed_at = 0.0
        self.collector = Collector()

    def start(self) -> None:
        """Begin, in the thread of the event loop; the collector is ours from now on."""
        self._loop = asyncio.get_running_loop()
        self._plan(TICK_EVERY)
        self.collector.start()

    def stop(self) -> None:
        """No more looks; the collector is given back."""
        self._loop = None
        if self._next is not None:
            self._next.cancel()
        self.collector.stop()

    def expect_rows(self) -> None:
        """A profile was opened: its first rows are to be seen as soon as they are there."""
        self._expected_until = time.monotonic() + EAGER_FOR_S
        self._plan(EAGER_EVERY)

    def news(self, pane: FeedPane) -> None:
        """Rows came for this pane; from any thread."""
        if pane is self._app.pane and (loop := self._loop) is not None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(self._plan, self._apart)

    @property
    def _apart(self) -> float:
        return self._line.drain_every if self._app.app_focus else self._line.drain_every * self._line.background_step

    def _plan(self, after: float) -> None:
        """Look when so many seconds have passed since the last time, or earlier where that is planned already."""
        if self._loop is None:
            return
        at = max(self._loop.time(), self._looked_at + after)
        if self._next is not None:
            if self._next.when() <= at:
                return
            self._next.cancel()
        self._next = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._next = None
        if self._loop is None:
            return
        self._looked_at = self._loop.time()
        try:
            self._plan(self._take_in(self._app.pane))
        except Exception as error:
            self._app.failed(error)

    def _take_in(self, pane: FeedPane | None) -> float:
        """Bring what is seen up to date; says after how many seconds to look again."""
        eager, wait = False, max(TICK_EVERY, self._apart)
        if pane is not None and pane.is_mounted:
            pane.drain()
            eager = bool(pane.backlog)
            self.collector.tick(self._app.rows_held)
        if self._expected_until and not self._have_come(pane):
            eager = True
        elif self._looked_at - self._framed_at >= FRAME_APART:
            self._framed_at = self._looked_at
            self._app.show_frame()
        return EAGER_EVERY if eager else wait

    def _have_come(self, pane: FeedPane | None) -> bool:
        """The first rows that were expected are there, or will not come soon."""
        status = pane.feed.status if pane is not None and pane.is_mounted else None
        if time.monotonic() < self._expected_until and (status is None or not (status.count or status.problem is not None)):
            return False
        self._expected_until = self._framed_at = 0.0
        return True
