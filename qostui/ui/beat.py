"""When the console looks at its feeds: on a steady beat, and more often until a profile has shown its first rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from textual.timer import Timer

from .collector import Collector
from .panes import FeedPane
from .terminal import Line

FRAME_STEP = 5
"""Header and tabs are looked at with each so-many-th beat."""
EAGER_EVERY = 0.015
"""Seconds between looks while first rows are expected, or more rows have come than one look may take in."""
EAGER_FOR_S = 3.0
"""Seconds after which the first rows are waited for on the steady beat only."""


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

    def set_interval(self, interval: float, callback: Callable[[], object]) -> Timer:
        """As Textual's."""


class Beat:
    """The drains of one console, and between them the garbage collector."""

    def __init__(self, app: Beaten, line: Line) -> None:
        self._app = app
        self._line = line
        self._turn = 0
        self._eager: Timer | None = None
        self._expected_until = 0.0
        self.collector = Collector()

    def start(self) -> None:
        """Begin; the collector is ours from now on."""
        self._app.set_interval(self._line.drain_every, self._drain)
        self.collector.start()

    def stop(self) -> None:
        """Give the collector back."""
        self.collector.stop()

    def expect_rows(self) -> None:
        """A profile was opened: its first rows are to be seen as soon as they are there."""
        self._expected_until = time.monotonic() + EAGER_FOR_S
        self._hurry()

    def _hurry(self) -> None:
        if self._eager is None:
            self._eager = self._app.set_interval(EAGER_EVERY, self._look)

    def _look(self) -> None:
        pane = self._app.pane
        if pane is None or not pane.is_mounted or self._eager is None:
            return
        pane.drain()
        status = pane.feed.status
        if status.count or status.problem is not None or time.monotonic() > self._expected_until:
            self._expected_until = 0.0
            if not pane.backlog:
                self._eager.stop()
                self._eager = None
                self._app.show_frame()

    def _drain(self) -> None:
        self._turn += 1
        if not self._app.app_focus and self._turn % self._line.background_step:
            return
        pane = self._app.pane
        if pane is not None and not pane.quiet and pane.is_mounted:
            pane.drain()
            if pane.backlog:
                self._hurry()
            self.collector.tick(self._app.rows_held)
        if self._turn % FRAME_STEP == 0:
            self._app.show_frame()
