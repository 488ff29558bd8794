"""Waiting until a program's screen shows something, for the parts of a run that no figure rests on.

The console writes only the cells that differ, so a number that grows is never written whole: what is waited for has to be
looked up on the screen.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .replay import Replay
from .terminal import Terminal, Timeout


class Screen:
    """What a terminal shows: its record, played as it grows."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._replay = Replay(terminal.size)
        self._played = 0

    def now(self) -> Replay:
        """The screen by all that has been recorded."""
        for chunk in self._terminal.chunks[self._played :]:
            self._replay.play(chunk.data)
        self._played = len(self._terminal.chunks)
        return self._replay

    def wait(self, shows: Callable[[Replay], bool], timeout: float = 60.0) -> None:
        """Record until the screen shows it; raises Timeout with the screen."""
        end = time.perf_counter() + timeout
        while not shows(self.now()):
            if time.perf_counter() > end:
                raise Timeout(f"it did not come within {timeout:.0f} s; the screen was\n{self._replay.text()}")
            self._terminal.read(0.1)
